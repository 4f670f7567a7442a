CREATE TABLE "presence" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"local" boolean NOT NULL,
	"state" text NOT NULL,
	"status_msg" text,
	"last_active_ms" bigint NOT NULL,
	"told_ms" bigint NOT NULL,
	"position" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "presence_syncs" (
	"user_key" bigint NOT NULL,
	"process_id" text NOT NULL,
	"state" text NOT NULL,
	CONSTRAINT "presence_syncs_user_key_process_id_pk" PRIMARY KEY("user_key","process_id")
);
--> statement-breakpoint
ALTER TABLE "presence" ADD CONSTRAINT "presence_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "presence_by_position" ON "presence" USING btree ("position");