CREATE TABLE "received_to_device" (
	"server_name" text NOT NULL,
	"message_id" text NOT NULL,
	"received_ms" bigint NOT NULL,
	CONSTRAINT "received_to_device_server_name_message_id_pk" PRIMARY KEY("server_name","message_id")
);
--> statement-breakpoint
CREATE TABLE "remote_device_lists" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"stream_id" bigint,
	"asked_at" bigint NOT NULL,
	"is_stale" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "remote_devices" (
	"user_key" bigint NOT NULL,
	"device_id" text NOT NULL,
	"display_name" text,
	"json" text NOT NULL,
	CONSTRAINT "remote_devices_user_key_device_id_pk" PRIMARY KEY("user_key","device_id")
);
--> statement-breakpoint
DROP INDEX "memberships_of_ours";--> statement-breakpoint
ALTER TABLE "remote_device_lists" ADD CONSTRAINT "remote_device_lists_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "remote_devices" ADD CONSTRAINT "remote_devices_user_key_remote_device_lists_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."remote_device_lists"("user_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "received_to_device_by_age" ON "received_to_device" USING btree ("received_ms");--> statement-breakpoint
CREATE INDEX "memberships_of_ours" ON "memberships" USING btree ("room_key","position") WHERE local and membership = 'join';