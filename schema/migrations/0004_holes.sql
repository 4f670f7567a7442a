ALTER TABLE "missing_events" ADD COLUMN "owed" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "missing_events" ADD COLUMN "due_ms" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "missing_events" ADD COLUMN "failures" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "rooms" ADD COLUMN "came_depth" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "missing_events_due" ON "missing_events" USING btree ("due_ms") WHERE owed;