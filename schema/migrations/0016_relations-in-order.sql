DROP INDEX "relations_of_event";--> statement-breakpoint
DELETE FROM "relations" USING "events" WHERE "events"."event_key" = "relations"."event_key" AND ("redacted_by" IS NOT NULL OR "anchor" IS NULL);--> statement-breakpoint
ALTER TABLE "relations" ADD COLUMN "anchor" bigint;--> statement-breakpoint
ALTER TABLE "relations" ADD COLUMN "anchor_offset" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE "relations" SET "anchor" = "events"."anchor", "anchor_offset" = "events"."anchor_offset" FROM "events" WHERE "events"."event_key" = "relations"."event_key";--> statement-breakpoint
ALTER TABLE "relations" ALTER COLUMN "anchor" SET NOT NULL;--> statement-breakpoint
CREATE INDEX "relations_in_threads" ON "relations" USING btree ("room_key","anchor","anchor_offset") WHERE rel_type = 'm.thread';--> statement-breakpoint
CREATE INDEX "relations_of_event" ON "relations" USING btree ("relates_to","rel_type","anchor","anchor_offset");
