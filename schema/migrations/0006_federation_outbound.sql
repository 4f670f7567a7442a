CREATE TABLE "destinations" (
	"server_name" text PRIMARY KEY NOT NULL,
	"taken_up_to" bigint NOT NULL,
	"owed_up_to" bigint NOT NULL,
	"holder" text,
	"leased_until_ms" bigint DEFAULT 0 NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"retry_at_ms" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "room_servers" (
	"room_key" bigint NOT NULL,
	"server_name" text NOT NULL,
	"since" bigint NOT NULL,
	"until" bigint,
	"joined" integer NOT NULL,
	CONSTRAINT "room_servers_room_key_server_name_since_pk" PRIMARY KEY("room_key","server_name","since")
);
--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "relayed" boolean;--> statement-breakpoint
CREATE UNIQUE INDEX "room_servers_now" ON "room_servers" USING btree ("server_name","room_key") WHERE until is null;--> statement-breakpoint
CREATE INDEX "room_servers_came" ON "room_servers" USING btree ("since");--> statement-breakpoint
CREATE INDEX "room_servers_went" ON "room_servers" USING btree ("until") WHERE until is not null;--> statement-breakpoint
INSERT INTO "room_servers" ("room_key", "server_name", "since", "joined")
SELECT "room_key", substring("user_id" from position(':' in "user_id") + 1), min("position"), count(*)
FROM "memberships" JOIN "users" USING ("user_key")
WHERE "membership" = 'join' AND NOT "memberships"."local"
GROUP BY 1, 2;
