CREATE TABLE "reports" (
	"report_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "reports_report_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"reporter_key" bigint NOT NULL,
	"room_id" text,
	"event_id" text,
	"user_id" text,
	"reason" text,
	"received_ms" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "reports_by_age" ON "reports" USING btree ("received_ms");