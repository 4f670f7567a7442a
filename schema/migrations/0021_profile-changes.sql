CREATE TABLE "profile_changes" (
	"user_key" bigint NOT NULL,
	"field" text NOT NULL,
	"position" bigint NOT NULL,
	CONSTRAINT "profile_changes_user_key_field_pk" PRIMARY KEY("user_key","field")
);
--> statement-breakpoint
CREATE INDEX "profile_changes_by_position" ON "profile_changes" USING btree ("position");