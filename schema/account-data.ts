import { bigint, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * What users have their clients keep here, for all rooms or for one.
 *
 * Rows go with the account, and those of a room when the room is purged.
 */
export const accountData = pgTable(
  "account_data",
  {
    userKey: key("user_key").notNull(),
    /** 0 for what concerns no room. */
    roomKey: key("room_key").notNull(),
    type: text("type").notNull(),
    /** JSON. */
    content: text("content").notNull(),
    position: key("position").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userKey, table.roomKey, table.type] }),
    index("account_data_by_position").on(table.position),
  ],
);
