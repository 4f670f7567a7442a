CREATE TABLE "unsettled_pdus" (
	"event_id" text PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL,
	"origin" text NOT NULL,
	"json" text NOT NULL,
	"received_ms" bigint NOT NULL,
	"due_ms" bigint NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE INDEX "unsettled_pdus_due" ON "unsettled_pdus" USING btree ("due_ms");--> statement-breakpoint
CREATE INDEX "unsettled_pdus_of_room" ON "unsettled_pdus" USING btree ("room_key","origin");