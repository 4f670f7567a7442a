CREATE TABLE "rendezvous_sessions" (
	"session_id" text PRIMARY KEY NOT NULL,
	"etag" text NOT NULL,
	"said" text NOT NULL,
	"changed_ms" bigint NOT NULL,
	"expires_at_ms" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "rendezvous_sessions_by_expiry" ON "rendezvous_sessions" USING btree ("expires_at_ms");