ALTER TABLE "guest_rooms" ADD COLUMN "stuck_since_ms" bigint;--> statement-breakpoint
ALTER TABLE "guest_rooms" ADD COLUMN "due_ms" bigint;--> statement-breakpoint
ALTER TABLE "profile_updates" ADD COLUMN "since_ms" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "profile_updates" ADD COLUMN "again_after" bigint;--> statement-breakpoint
ALTER TABLE "profile_updates" ADD COLUMN "due_ms" bigint DEFAULT 0 NOT NULL;