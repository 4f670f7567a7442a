CREATE TABLE "url_previews" (
	"url_hash" text PRIMARY KEY NOT NULL,
	"preview" text NOT NULL,
	"made_ms" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "url_previews_by_age" ON "url_previews" USING btree ("made_ms");