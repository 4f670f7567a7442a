CREATE TABLE "sliding_connections" (
	"told_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "sliding_connections_told_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_key" bigint NOT NULL,
	"connection_id" text NOT NULL,
	"told" text NOT NULL,
	"used_ms" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "thread_subscriptions" (
	"user_key" bigint NOT NULL,
	"root_key" bigint NOT NULL,
	"room_key" bigint NOT NULL,
	"subscribed" boolean NOT NULL,
	"automatic" boolean NOT NULL,
	"position" bigint NOT NULL,
	CONSTRAINT "thread_subscriptions_user_key_root_key_pk" PRIMARY KEY("user_key","root_key")
);
--> statement-breakpoint
ALTER TABLE "sliding_connections" ADD CONSTRAINT "sliding_connections_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "sliding_connections_of_device" ON "sliding_connections" USING btree ("device_key","connection_id");--> statement-breakpoint
CREATE INDEX "sliding_connections_by_use" ON "sliding_connections" USING btree ("used_ms");--> statement-breakpoint
CREATE INDEX "thread_subscriptions_of_user" ON "thread_subscriptions" USING btree ("user_key","position");--> statement-breakpoint
CREATE INDEX "thread_subscriptions_by_position" ON "thread_subscriptions" USING btree ("position");