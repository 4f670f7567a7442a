CREATE TABLE "sender_redactions" (
	"redaction_key" bigint PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL,
	"sender_key" bigint NOT NULL,
	"since_anchor" bigint,
	"since_offset" integer DEFAULT 0 NOT NULL,
	"down_anchor" bigint,
	"down_offset" integer DEFAULT 0 NOT NULL,
	"done" boolean DEFAULT false NOT NULL,
	"position" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "sender_redactions_in_room" ON "sender_redactions" USING btree ("room_key","sender_key");--> statement-breakpoint
CREATE INDEX "sender_redactions_by_position" ON "sender_redactions" USING btree ("position");--> statement-breakpoint
CREATE INDEX "sender_redactions_unfinished" ON "sender_redactions" USING btree ("redaction_key") WHERE not done;