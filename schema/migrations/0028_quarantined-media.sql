CREATE TABLE "quarantined_media" (
	"origin" text NOT NULL,
	"media_id" text NOT NULL,
	"quarantined_at_ms" bigint NOT NULL,
	"by_user_key" bigint NOT NULL,
	CONSTRAINT "quarantined_media_media_id_origin_pk" PRIMARY KEY("media_id","origin")
);
--> statement-breakpoint
DROP INDEX "media_of_uploader";--> statement-breakpoint
CREATE INDEX "media_of_uploader" ON "media" USING btree ("uploader_key","size_bytes");