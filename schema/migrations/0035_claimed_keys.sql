CREATE TABLE "claimed_keys" (
	"device_key" bigint NOT NULL,
	"algorithm" text NOT NULL,
	"key_id" text NOT NULL,
	"json" text NOT NULL,
	"claimed_at_ms" bigint NOT NULL,
	CONSTRAINT "claimed_keys_device_key_algorithm_key_id_pk" PRIMARY KEY("device_key","algorithm","key_id")
);
--> statement-breakpoint
ALTER TABLE "claimed_keys" ADD CONSTRAINT "claimed_keys_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;