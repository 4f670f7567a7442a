CREATE TABLE "pushers" (
	"pusher_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "pushers_pusher_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"user_key" bigint NOT NULL,
	"device_key" bigint NOT NULL,
	"app_id" text NOT NULL,
	"pushkey" text NOT NULL,
	"kind" text NOT NULL,
	"app_display_name" text NOT NULL,
	"device_display_name" text NOT NULL,
	"profile_tag" text,
	"lang" text NOT NULL,
	"data" text NOT NULL,
	"is_enabled" boolean DEFAULT true NOT NULL,
	"set_ms" bigint NOT NULL,
	"owed_up_to" bigint NOT NULL,
	"pushed_up_to" bigint NOT NULL,
	"told_unread" integer,
	"failures" integer DEFAULT 0 NOT NULL,
	"due_ms" bigint DEFAULT 0 NOT NULL,
	"holder" text,
	"leased_until_ms" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "pushers_by_pushkey" UNIQUE("app_id","pushkey","user_key")
);
--> statement-breakpoint
ALTER TABLE "pushers" ADD CONSTRAINT "pushers_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "pushers_of_user" ON "pushers" USING btree ("user_key");--> statement-breakpoint
CREATE INDEX "pushers_of_device" ON "pushers" USING btree ("device_key");--> statement-breakpoint
CREATE INDEX "pushers_owed" ON "pushers" USING btree ("due_ms") WHERE owed_up_to > pushed_up_to;