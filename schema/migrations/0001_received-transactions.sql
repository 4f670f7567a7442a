CREATE TABLE "received_transactions" (
	"origin" text NOT NULL,
	"txn_id" text NOT NULL,
	"answer" text NOT NULL,
	"answered_ms" bigint NOT NULL,
	CONSTRAINT "received_transactions_origin_txn_id_pk" PRIMARY KEY("origin","txn_id")
);
--> statement-breakpoint
CREATE INDEX "received_transactions_by_age" ON "received_transactions" USING btree ("answered_ms");--> statement-breakpoint
CREATE INDEX "memberships_of_ours" ON "memberships" USING btree ("room_key") WHERE local and membership = 'join';