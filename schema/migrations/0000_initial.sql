CREATE TABLE "account_data" (
	"user_key" bigint NOT NULL,
	"room_key" bigint NOT NULL,
	"type" text NOT NULL,
	"content" text NOT NULL,
	"position" bigint NOT NULL,
	CONSTRAINT "account_data_user_key_room_key_type_pk" PRIMARY KEY("user_key","room_key","type")
);
--> statement-breakpoint
CREATE TABLE "access_tokens" (
	"token_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "access_tokens_token_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"access_hash" "bytea" NOT NULL,
	"refresh_hash" "bytea",
	"device_key" bigint NOT NULL,
	"access_expires_at_ms" bigint,
	"refresh_expires_at_ms" bigint,
	"replaces" bigint,
	CONSTRAINT "access_tokens_access_hash_unique" UNIQUE("access_hash"),
	CONSTRAINT "access_tokens_refresh_hash_unique" UNIQUE("refresh_hash")
);
--> statement-breakpoint
CREATE TABLE "accounts" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"password_hash" text,
	"is_admin" boolean DEFAULT false NOT NULL,
	"is_guest" boolean DEFAULT false NOT NULL,
	"is_locked" boolean DEFAULT false NOT NULL,
	"is_suspended" boolean DEFAULT false NOT NULL,
	"created_at_ms" bigint NOT NULL,
	"deactivated_at_ms" bigint,
	"is_erased" boolean DEFAULT false NOT NULL,
	"leaving_after" bigint,
	"position" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "directory_words" (
	"user_key" bigint NOT NULL,
	"word" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "one_time_tokens" (
	"hash" "bytea" PRIMARY KEY NOT NULL,
	"purpose" text NOT NULL,
	"user_key" bigint,
	"created_at_ms" bigint NOT NULL,
	"expires_at_ms" bigint
);
--> statement-breakpoint
CREATE TABLE "open_rooms" (
	"room_key" bigint PRIMARY KEY NOT NULL
);
--> statement-breakpoint
CREATE TABLE "profile_updates" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"generation" integer DEFAULT 1 NOT NULL,
	"after_room_key" bigint DEFAULT 0 NOT NULL,
	"leased_until_ms" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "profiles" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"displayname" text,
	"avatar_url" text,
	"others" text DEFAULT '{}' NOT NULL
);
--> statement-breakpoint
CREATE TABLE "registration_tokens" (
	"token" text PRIMARY KEY NOT NULL,
	"uses_allowed" integer,
	"uses_completed" integer DEFAULT 0 NOT NULL,
	"expires_at_ms" bigint
);
--> statement-breakpoint
CREATE TABLE "remote_profiles" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"displayname" text,
	"avatar_url" text,
	"is_open" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "uia_sessions" (
	"session_id" text PRIMARY KEY NOT NULL,
	"subject" text NOT NULL,
	"user_key" bigint,
	"body_hash" "bytea" NOT NULL,
	"completed" text NOT NULL,
	"expires_at_ms" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "device_deletions" (
	"position" bigint NOT NULL,
	"device_key" bigint NOT NULL,
	"user_key" bigint NOT NULL,
	CONSTRAINT "device_deletions_position_device_key_pk" PRIMARY KEY("position","device_key")
);
--> statement-breakpoint
CREATE TABLE "device_lists" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"position" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "devices" (
	"device_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "devices_device_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"user_key" bigint NOT NULL,
	"device_id" text NOT NULL,
	"display_name" text,
	"last_seen_ms" bigint,
	"last_seen_ip" text,
	CONSTRAINT "devices_by_id" UNIQUE("user_key","device_id")
);
--> statement-breakpoint
CREATE TABLE "remote_to_device" (
	"server_name" text NOT NULL,
	"position" bigint NOT NULL,
	"part" integer NOT NULL,
	"sender_key" bigint NOT NULL,
	"user_id" text NOT NULL,
	"device_id" text NOT NULL,
	"type" text NOT NULL,
	"content" text NOT NULL,
	"message_id" text DEFAULT gen_random_uuid() NOT NULL,
	CONSTRAINT "remote_to_device_server_name_position_part_pk" PRIMARY KEY("server_name","position","part")
);
--> statement-breakpoint
CREATE TABLE "to_device" (
	"device_key" bigint NOT NULL,
	"position" bigint NOT NULL,
	"part" integer NOT NULL,
	"sender_key" bigint NOT NULL,
	"type" text NOT NULL,
	"content" text NOT NULL,
	CONSTRAINT "to_device_device_key_position_part_pk" PRIMARY KEY("device_key","position","part")
);
--> statement-breakpoint
CREATE TABLE "to_device_transactions" (
	"device_key" bigint NOT NULL,
	"type" text NOT NULL,
	"txn_id" text NOT NULL,
	"done_ms" bigint NOT NULL,
	CONSTRAINT "to_device_transactions_device_key_txn_id_type_pk" PRIMARY KEY("device_key","txn_id","type")
);
--> statement-breakpoint
CREATE TABLE "published_rooms" (
	"room_key" bigint PRIMARY KEY NOT NULL,
	"publisher_key" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "room_aliases" (
	"alias" text PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL,
	"creator_key" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "cross_signing_keys" (
	"user_key" bigint NOT NULL,
	"usage" text NOT NULL,
	"public_key" text NOT NULL,
	"json" text NOT NULL,
	CONSTRAINT "cross_signing_keys_user_key_usage_pk" PRIMARY KEY("user_key","usage")
);
--> statement-breakpoint
CREATE TABLE "cross_signing_signatures" (
	"user_key" bigint NOT NULL,
	"usage" text NOT NULL,
	"signer_key" bigint NOT NULL,
	"key_id" text NOT NULL,
	"signature" text NOT NULL,
	"position" bigint NOT NULL,
	CONSTRAINT "cross_signing_signatures_user_key_usage_signer_key_key_id_pk" PRIMARY KEY("user_key","usage","signer_key","key_id")
);
--> statement-breakpoint
CREATE TABLE "device_keys" (
	"device_key" bigint PRIMARY KEY NOT NULL,
	"json" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "device_signatures" (
	"device_key" bigint NOT NULL,
	"signer_key" bigint NOT NULL,
	"key_id" text NOT NULL,
	"signature" text NOT NULL,
	CONSTRAINT "device_signatures_device_key_signer_key_key_id_pk" PRIMARY KEY("device_key","signer_key","key_id")
);
--> statement-breakpoint
CREATE TABLE "fallback_keys" (
	"device_key" bigint NOT NULL,
	"algorithm" text NOT NULL,
	"key_id" text NOT NULL,
	"json" text NOT NULL,
	"used" boolean NOT NULL,
	CONSTRAINT "fallback_keys_device_key_algorithm_pk" PRIMARY KEY("device_key","algorithm")
);
--> statement-breakpoint
CREATE TABLE "key_backup_counters" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"last_version" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "key_backup_sessions" (
	"user_key" bigint NOT NULL,
	"version" integer NOT NULL,
	"room_id" text NOT NULL,
	"session_id" text NOT NULL,
	"first_message_index" bigint NOT NULL,
	"forwarded_count" bigint NOT NULL,
	"is_verified" boolean NOT NULL,
	"session_data" text NOT NULL,
	CONSTRAINT "key_backup_sessions_user_key_version_room_id_session_id_pk" PRIMARY KEY("user_key","version","room_id","session_id")
);
--> statement-breakpoint
CREATE TABLE "key_backups" (
	"user_key" bigint NOT NULL,
	"version" integer NOT NULL,
	"algorithm" text NOT NULL,
	"auth_data" text NOT NULL,
	"etag" bigint NOT NULL,
	"session_count" integer NOT NULL,
	CONSTRAINT "key_backups_user_key_version_pk" PRIMARY KEY("user_key","version")
);
--> statement-breakpoint
CREATE TABLE "key_supply_changes" (
	"device_key" bigint PRIMARY KEY NOT NULL,
	"position" bigint NOT NULL,
	"claimed" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "one_time_keys" (
	"device_key" bigint NOT NULL,
	"algorithm" text NOT NULL,
	"key_id" text NOT NULL,
	"ordinal" bigint GENERATED ALWAYS AS IDENTITY (sequence name "one_time_keys_ordinal_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"json" text NOT NULL,
	CONSTRAINT "one_time_keys_device_key_algorithm_key_id_pk" PRIMARY KEY("device_key","algorithm","key_id")
);
--> statement-breakpoint
CREATE TABLE "receipts" (
	"room_key" bigint NOT NULL,
	"user_key" bigint NOT NULL,
	"type" text NOT NULL,
	"thread" text NOT NULL,
	"event_key" bigint NOT NULL,
	"anchor" bigint NOT NULL,
	"anchor_offset" integer NOT NULL,
	"ts" bigint NOT NULL,
	"position" bigint NOT NULL,
	CONSTRAINT "receipts_room_key_user_key_type_thread_pk" PRIMARY KEY("room_key","user_key","type","thread")
);
--> statement-breakpoint
CREATE TABLE "typing" (
	"room_key" bigint NOT NULL,
	"user_key" bigint NOT NULL,
	"until_ms" bigint NOT NULL,
	"position" bigint NOT NULL,
	"news_position" bigint NOT NULL,
	CONSTRAINT "typing_room_key_user_key_pk" PRIMARY KEY("room_key","user_key")
);
--> statement-breakpoint
CREATE TABLE "server_keys" (
	"server_name" text NOT NULL,
	"key_id" text NOT NULL,
	"public_key" text NOT NULL,
	"is_old" boolean NOT NULL,
	"valid_until_ms" bigint NOT NULL,
	"fetched_ms" bigint NOT NULL,
	"used_ms" bigint NOT NULL,
	"document" text NOT NULL,
	CONSTRAINT "server_keys_server_name_key_id_pk" PRIMARY KEY("server_name","key_id")
);
--> statement-breakpoint
CREATE TABLE "filters" (
	"user_key" bigint NOT NULL,
	"filter_id" text NOT NULL,
	"json" text NOT NULL,
	"created_ms" bigint NOT NULL,
	CONSTRAINT "filters_user_key_filter_id_pk" PRIMARY KEY("user_key","filter_id")
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"name" text PRIMARY KEY NOT NULL,
	"due_at_ms" bigint DEFAULT 0 NOT NULL,
	"holder" text,
	"leased_until_ms" bigint DEFAULT 0 NOT NULL,
	"failures" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "media" (
	"media_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "media_media_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"origin" text NOT NULL,
	"media_id" text NOT NULL,
	"uploader_key" bigint,
	"created_at_ms" bigint NOT NULL,
	"expires_at_ms" bigint,
	"blob_key" text,
	"content_type" text,
	"size_bytes" bigint,
	"sha256" "bytea",
	"filename" text
);
--> statement-breakpoint
CREATE TABLE "media_thumbnails" (
	"media_key" bigint NOT NULL,
	"width" integer NOT NULL,
	"height" integer NOT NULL,
	"method" text NOT NULL,
	"animated" boolean NOT NULL,
	"blob_key" text NOT NULL,
	"content_type" text NOT NULL,
	"size_bytes" bigint NOT NULL,
	CONSTRAINT "media_thumbnails_media_key_width_height_method_animated_pk" PRIMARY KEY("media_key","width","height","method","animated")
);
--> statement-breakpoint
CREATE TABLE "highlights" (
	"room_key" bigint NOT NULL,
	"user_key" bigint NOT NULL,
	"event_key" bigint NOT NULL,
	CONSTRAINT "highlights_user_key_room_key_event_key_pk" PRIMARY KEY("user_key","room_key","event_key")
);
--> statement-breakpoint
CREATE TABLE "push_rules" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"rules" text NOT NULL,
	"position" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "room_reads" (
	"user_key" bigint NOT NULL,
	"room_key" bigint NOT NULL,
	"thread" text NOT NULL,
	"anchor" bigint NOT NULL,
	"ordinal" bigint NOT NULL,
	CONSTRAINT "room_reads_user_key_room_key_thread_pk" PRIMARY KEY("user_key","room_key","thread")
);
--> statement-breakpoint
CREATE TABLE "threaded_events" (
	"room_key" bigint NOT NULL,
	"event_key" bigint NOT NULL,
	"ordinal" bigint NOT NULL,
	"root" text NOT NULL,
	CONSTRAINT "threaded_events_room_key_event_key_pk" PRIMARY KEY("room_key","event_key")
);
--> statement-breakpoint
CREATE TABLE "events" (
	"event_key" bigint PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL,
	"event_id" text NOT NULL,
	"type" text NOT NULL,
	"state_key" text,
	"sender_key" bigint NOT NULL,
	"depth" bigint NOT NULL,
	"origin_server_ts" bigint NOT NULL,
	"status" smallint NOT NULL,
	"anchor" bigint,
	"anchor_offset" integer DEFAULT 0 NOT NULL,
	"placed_at" bigint,
	"state_before" bigint,
	"state_after" bigint,
	"room_state" bigint,
	"ordinal" bigint DEFAULT 0 NOT NULL,
	"replaces" bigint,
	"auth_keys" bigint[],
	"redacted_by" bigint,
	"device_key" bigint,
	"txn_id" text,
	"json" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "memberships" (
	"user_key" bigint NOT NULL,
	"room_key" bigint NOT NULL,
	"membership" text NOT NULL,
	"event_key" bigint NOT NULL,
	"position" bigint NOT NULL,
	"local" boolean NOT NULL,
	"forgotten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "memberships_user_key_room_key_pk" PRIMARY KEY("user_key","room_key")
);
--> statement-breakpoint
CREATE TABLE "missing_events" (
	"room_key" bigint NOT NULL,
	"missing_id" text NOT NULL,
	"event_key" bigint NOT NULL,
	CONSTRAINT "missing_events_missing_id_event_key_pk" PRIMARY KEY("missing_id","event_key")
);
--> statement-breakpoint
CREATE TABLE "received_invites" (
	"user_key" bigint NOT NULL,
	"room_key" bigint NOT NULL,
	"event_key" bigint NOT NULL,
	"stripped_state" text NOT NULL,
	CONSTRAINT "received_invites_user_key_room_key_pk" PRIMARY KEY("user_key","room_key")
);
--> statement-breakpoint
CREATE TABLE "relations" (
	"event_key" bigint PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL,
	"relates_to" text NOT NULL,
	"rel_type" text NOT NULL,
	"type" text NOT NULL,
	"sender_key" bigint NOT NULL,
	"aggregation_key" text
);
--> statement-breakpoint
CREATE TABLE "rooms" (
	"room_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "rooms_room_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"room_id" text NOT NULL,
	"version" text NOT NULL,
	"head_version" bigint DEFAULT 0 NOT NULL,
	"extremities" bigint[] DEFAULT '{}' NOT NULL,
	"depth" bigint DEFAULT 0 NOT NULL,
	"state_root" bigint DEFAULT 0 NOT NULL,
	"ordinal" bigint DEFAULT 0 NOT NULL,
	"last_position" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "rooms_room_id_unique" UNIQUE("room_id")
);
--> statement-breakpoint
CREATE TABLE "state_nodes" (
	"event_key" bigint PRIMARY KEY NOT NULL,
	"nodes" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "state_slots" (
	"slot" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "state_slots_slot_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"type" text NOT NULL,
	"state_key" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "waiting_redactions" (
	"target" text NOT NULL,
	"redaction_key" bigint NOT NULL,
	"room_key" bigint NOT NULL,
	"anyone" boolean NOT NULL,
	"domain" text NOT NULL,
	CONSTRAINT "waiting_redactions_target_redaction_key_pk" PRIMARY KEY("target","redaction_key")
);
--> statement-breakpoint
CREATE TABLE "signing_keys" (
	"key_id" text PRIMARY KEY NOT NULL,
	"seed" "bytea" NOT NULL,
	"created_ms" bigint NOT NULL,
	"expired_ms" bigint
);
--> statement-breakpoint
CREATE TABLE "positions" (
	"id" smallint PRIMARY KEY DEFAULT 1 NOT NULL,
	"position" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "processes" (
	"process_id" text PRIMARY KEY NOT NULL,
	"seen_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "stream_followers" (
	"name" text PRIMARY KEY NOT NULL,
	"position" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"user_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "users_user_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"user_id" text NOT NULL,
	"local" boolean NOT NULL,
	CONSTRAINT "users_user_id_unique" UNIQUE("user_id")
);
--> statement-breakpoint
ALTER TABLE "access_tokens" ADD CONSTRAINT "access_tokens_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "profiles" ADD CONSTRAINT "profiles_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "device_lists" ADD CONSTRAINT "device_lists_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "devices" ADD CONSTRAINT "devices_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "to_device" ADD CONSTRAINT "to_device_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "to_device_transactions" ADD CONSTRAINT "to_device_transactions_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cross_signing_keys" ADD CONSTRAINT "cross_signing_keys_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cross_signing_signatures" ADD CONSTRAINT "cross_signing_signatures_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cross_signing_signatures" ADD CONSTRAINT "cross_signing_signatures_user_key_usage_cross_signing_keys_user_key_usage_fk" FOREIGN KEY ("user_key","usage") REFERENCES "public"."cross_signing_keys"("user_key","usage") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "device_keys" ADD CONSTRAINT "device_keys_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "device_signatures" ADD CONSTRAINT "device_signatures_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fallback_keys" ADD CONSTRAINT "fallback_keys_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_backup_counters" ADD CONSTRAINT "key_backup_counters_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_backup_sessions" ADD CONSTRAINT "key_backup_sessions_user_key_version_key_backups_user_key_version_fk" FOREIGN KEY ("user_key","version") REFERENCES "public"."key_backups"("user_key","version") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_backups" ADD CONSTRAINT "key_backups_user_key_users_user_key_fk" FOREIGN KEY ("user_key") REFERENCES "public"."users"("user_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_supply_changes" ADD CONSTRAINT "key_supply_changes_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "one_time_keys" ADD CONSTRAINT "one_time_keys_device_key_devices_device_key_fk" FOREIGN KEY ("device_key") REFERENCES "public"."devices"("device_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "media_thumbnails" ADD CONSTRAINT "media_thumbnails_media_key_media_media_key_fk" FOREIGN KEY ("media_key") REFERENCES "public"."media"("media_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "account_data_by_position" ON "account_data" USING btree ("position");--> statement-breakpoint
CREATE INDEX "access_tokens_of_device" ON "access_tokens" USING btree ("device_key");--> statement-breakpoint
CREATE INDEX "access_tokens_by_expiry" ON "access_tokens" USING btree ("access_expires_at_ms");--> statement-breakpoint
CREATE INDEX "accounts_by_position" ON "accounts" USING btree ("position");--> statement-breakpoint
CREATE INDEX "accounts_leaving" ON "accounts" USING btree ("user_key") WHERE leaving_after is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "directory_words_of_user" ON "directory_words" USING btree ("user_key","word");--> statement-breakpoint
CREATE INDEX "directory_words_by_prefix" ON "directory_words" USING btree ("word" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "one_time_tokens_by_expiry" ON "one_time_tokens" USING btree ("expires_at_ms");--> statement-breakpoint
CREATE INDEX "uia_sessions_by_expiry" ON "uia_sessions" USING btree ("expires_at_ms");--> statement-breakpoint
CREATE INDEX "device_lists_by_position" ON "device_lists" USING btree ("position");--> statement-breakpoint
CREATE INDEX "to_device_by_position" ON "to_device" USING btree ("position");--> statement-breakpoint
CREATE INDEX "to_device_transactions_by_age" ON "to_device_transactions" USING btree ("done_ms");--> statement-breakpoint
CREATE INDEX "room_aliases_of_room" ON "room_aliases" USING btree ("room_key");--> statement-breakpoint
CREATE INDEX "cross_signing_signatures_by_position" ON "cross_signing_signatures" USING btree ("position");--> statement-breakpoint
CREATE INDEX "key_supply_changes_by_position" ON "key_supply_changes" USING btree ("position");--> statement-breakpoint
CREATE UNIQUE INDEX "one_time_keys_in_order" ON "one_time_keys" USING btree ("device_key","algorithm","ordinal");--> statement-breakpoint
CREATE INDEX "receipts_by_position" ON "receipts" USING btree ("position");--> statement-breakpoint
CREATE INDEX "typing_by_position" ON "typing" USING btree ("position");--> statement-breakpoint
CREATE INDEX "server_keys_used" ON "server_keys" USING btree ("used_ms");--> statement-breakpoint
CREATE UNIQUE INDEX "media_by_uri" ON "media" USING btree ("media_id","origin");--> statement-breakpoint
CREATE INDEX "media_of_uploader" ON "media" USING btree ("uploader_key");--> statement-breakpoint
CREATE INDEX "media_expiring" ON "media" USING btree ("expires_at_ms") WHERE expires_at_ms is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "media_by_blob" ON "media" USING btree ("blob_key");--> statement-breakpoint
CREATE INDEX "media_thumbnails_by_blob" ON "media_thumbnails" USING btree ("blob_key");--> statement-breakpoint
CREATE INDEX "highlights_of_room" ON "highlights" USING btree ("room_key","event_key");--> statement-breakpoint
CREATE INDEX "push_rules_by_position" ON "push_rules" USING btree ("position");--> statement-breakpoint
CREATE UNIQUE INDEX "events_by_id" ON "events" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "events_in_room_order" ON "events" USING btree ("room_key","anchor","anchor_offset");--> statement-breakpoint
CREATE INDEX "events_placed_later" ON "events" USING btree ("placed_at") WHERE placed_at is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "events_by_transaction" ON "events" USING btree ("device_key","txn_id","room_key","type") WHERE device_key is not null;--> statement-breakpoint
CREATE INDEX "memberships_of_room" ON "memberships" USING btree ("room_key","membership");--> statement-breakpoint
CREATE INDEX "memberships_by_position" ON "memberships" USING btree ("position");--> statement-breakpoint
CREATE INDEX "missing_events_of_room" ON "missing_events" USING btree ("room_key");--> statement-breakpoint
CREATE INDEX "relations_of_event" ON "relations" USING btree ("relates_to","rel_type");--> statement-breakpoint
CREATE UNIQUE INDEX "state_slots_by_pair" ON "state_slots" USING btree ("type","state_key");