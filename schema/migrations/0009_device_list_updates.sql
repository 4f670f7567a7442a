CREATE TABLE "device_list_updates" (
	"position" bigint NOT NULL,
	"part" integer NOT NULL,
	"user_key" bigint NOT NULL,
	"device_id" text,
	"prev_id" bigint,
	CONSTRAINT "device_list_updates_position_part_pk" PRIMARY KEY("position","part")
);
--> statement-breakpoint
ALTER TABLE "destinations" ADD COLUMN "failing_since_ms" bigint;--> statement-breakpoint
CREATE INDEX "device_list_updates_of_user" ON "device_list_updates" USING btree ("user_key","position","part");--> statement-breakpoint
CREATE INDEX "remote_to_device_by_position" ON "remote_to_device" USING btree ("position");