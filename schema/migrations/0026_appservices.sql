CREATE TABLE "appservice_feeds" (
	"appservice_id" text PRIMARY KEY NOT NULL,
	"told_up_to" bigint NOT NULL,
	"last_txn" bigint NOT NULL,
	"body" text,
	"body_up_to" bigint DEFAULT 0 NOT NULL,
	"body_devices" bigint[],
	"failures" integer DEFAULT 0 NOT NULL,
	"due_ms" bigint DEFAULT 0 NOT NULL,
	"holder" text,
	"leased_until_ms" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
ALTER TABLE "published_rooms" ADD COLUMN "network" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "published_rooms" DROP CONSTRAINT "published_rooms_pkey";--> statement-breakpoint
ALTER TABLE "published_rooms" ADD CONSTRAINT "published_rooms_room_key_network_pk" PRIMARY KEY("room_key","network");
