CREATE TABLE "sticky_events" (
	"event_key" bigint PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL,
	"sender_key" bigint NOT NULL,
	"until_ms" bigint NOT NULL,
	"told_at" bigint
);
--> statement-breakpoint
CREATE TABLE "sticky_owed" (
	"server_name" text NOT NULL,
	"event_key" bigint NOT NULL,
	"position" bigint NOT NULL,
	CONSTRAINT "sticky_owed_server_name_event_key_pk" PRIMARY KEY("server_name","event_key")
);
--> statement-breakpoint
ALTER TABLE "delayed_events" ADD COLUMN "sticky_ms" bigint;--> statement-breakpoint
CREATE INDEX "sticky_events_in_room" ON "sticky_events" USING btree ("room_key");--> statement-breakpoint
CREATE INDEX "sticky_events_over" ON "sticky_events" USING btree ("until_ms");--> statement-breakpoint
CREATE INDEX "sticky_events_told" ON "sticky_events" USING btree ("told_at");--> statement-breakpoint
CREATE INDEX "sticky_owed_by_server" ON "sticky_owed" USING btree ("server_name","position");--> statement-breakpoint
CREATE INDEX "sticky_owed_by_position" ON "sticky_owed" USING btree ("position");--> statement-breakpoint
CREATE INDEX "sticky_owed_of_event" ON "sticky_owed" USING btree ("event_key");