CREATE TABLE "delayed_events" (
	"delayed_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "delayed_events_delayed_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"delay_id" text NOT NULL,
	"user_key" bigint NOT NULL,
	"device_key" bigint NOT NULL,
	"room_key" bigint NOT NULL,
	"type" text NOT NULL,
	"state_key" text,
	"txn_id" text,
	"content" text NOT NULL,
	"delay_ms" bigint NOT NULL,
	"scheduled_ms" bigint NOT NULL,
	"due_ms" bigint NOT NULL,
	"leased_until_ms" bigint DEFAULT 0 NOT NULL,
	"ended_ms" bigint,
	"event_id" text,
	"error" text
);
--> statement-breakpoint
CREATE UNIQUE INDEX "delayed_events_by_id" ON "delayed_events" USING btree ("delay_id");--> statement-breakpoint
CREATE UNIQUE INDEX "delayed_events_by_transaction" ON "delayed_events" USING btree ("device_key","txn_id","room_key","type") WHERE txn_id is not null;--> statement-breakpoint
CREATE INDEX "delayed_events_of_user" ON "delayed_events" USING btree ("user_key","due_ms");--> statement-breakpoint
CREATE INDEX "delayed_events_due" ON "delayed_events" USING btree ("due_ms") WHERE ended_ms is null;--> statement-breakpoint
CREATE INDEX "delayed_events_ended" ON "delayed_events" USING btree ("ended_ms") WHERE ended_ms is not null;