import { bigint, pgTable, primaryKey, text } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * Filters that users have uploaded. The ID is made from the content, so that the same filter, uploaded
 * again, is the same row.
 *
 * Rows go with the account, and when the user has uploaded very many newer ones.
 */
export const filters = pgTable(
  "filters",
  {
    userKey: key("user_key").notNull(),
    filterId: text("filter_id").notNull(),
    /** As canonical JSON. */
    json: text("json").notNull(),
    createdMs: key("created_ms").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userKey, table.filterId] })],
);
