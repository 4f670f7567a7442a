ALTER TABLE "media" ADD COLUMN "used_ms" bigint;--> statement-breakpoint
CREATE INDEX "media_of_others" ON "media" USING btree ("used_ms") WHERE used_ms is not null;