CREATE TABLE "search_entries" (
	"event_key" bigint PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL,
	"anchor" bigint NOT NULL,
	"anchor_offset" integer NOT NULL,
	"tokens" "tsvector" NOT NULL
);
--> statement-breakpoint
CREATE INDEX "search_entries_in_order" ON "search_entries" USING btree ("anchor","anchor_offset");--> statement-breakpoint
CREATE INDEX "search_entries_by_token" ON "search_entries" USING gin ("tokens");