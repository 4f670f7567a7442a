ALTER TABLE "pushers" ADD COLUMN "confirmed_ms" bigint;--> statement-breakpoint
ALTER TABLE "pushers" ADD COLUMN "mailed_ms" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "pushers" ADD COLUMN "mail_gap_ms" bigint DEFAULT 0 NOT NULL;