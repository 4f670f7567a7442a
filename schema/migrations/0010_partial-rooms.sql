CREATE TABLE "partial_rooms" (
	"room_key" bigint PRIMARY KEY NOT NULL,
	"join_id" text NOT NULL,
	"servers" text[] NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"due_ms" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "on_partial" boolean;--> statement-breakpoint
ALTER TABLE "rooms" ADD COLUMN "is_partial" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "partial_rooms_due" ON "partial_rooms" USING btree ("due_ms");