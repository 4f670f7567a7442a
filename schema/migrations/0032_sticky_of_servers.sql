DROP INDEX "sticky_events_in_room";--> statement-breakpoint
ALTER TABLE "sticky_events" ADD COLUMN "server_name" text;--> statement-breakpoint
CREATE INDEX "sticky_events_in_room" ON "sticky_events" USING btree ("room_key","server_name","sender_key");