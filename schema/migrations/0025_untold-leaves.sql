CREATE TABLE "guest_rooms" (
	"room_key" bigint PRIMARY KEY NOT NULL,
	"looked_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "room_entries" (
	"room_id" text PRIMARY KEY NOT NULL,
	"holder" text NOT NULL,
	"until_ms" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "untold_leaves" (
	"user_id" text NOT NULL,
	"room_id" text NOT NULL,
	"servers" text[] NOT NULL,
	"reason" text,
	"event_key" bigint,
	"since_ms" bigint NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"due_ms" bigint NOT NULL,
	CONSTRAINT "untold_leaves_user_id_room_id_pk" PRIMARY KEY("user_id","room_id")
);
--> statement-breakpoint
CREATE INDEX "untold_leaves_due" ON "untold_leaves" USING btree ("due_ms");--> statement-breakpoint
CREATE INDEX "accounts_of_guests" ON "accounts" USING btree ("user_key") WHERE is_guest;