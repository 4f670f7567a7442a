CREATE TABLE "dehydrated_devices" (
	"device_key" bigint PRIMARY KEY NOT NULL,
	"user_key" bigint NOT NULL,
	"secrets" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "dehydrated_devices" ADD CONSTRAINT "dehydrated_devices_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "dehydrated_devices_of_user" ON "dehydrated_devices" USING btree ("user_key");