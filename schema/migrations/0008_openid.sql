CREATE TABLE "openid_tokens" (
	"hash" "bytea" PRIMARY KEY NOT NULL,
	"user_key" bigint NOT NULL,
	"expires_at_ms" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "openid_tokens_by_expiry" ON "openid_tokens" USING btree ("expires_at_ms");