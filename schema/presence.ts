import { bigint, boolean, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { users } from "./users.ts";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * Who is online, ours and others', as it was last told. Unlogged: should the database crash, nobody is.
 *
 * A row goes a day after its user has gone offline (`forget-presence`).
 */
export const presence = pgTable(
  "presence",
  {
    userKey: key("user_key")
      .primaryKey()
      .references(() => users.userKey),
    /** Whether the user is of this server. */
    local: boolean("local").notNull(),
    /** `online`, `unavailable` or `offline`. */
    state: text("state").notNull(),
    /** What the user says of it. */
    statusMsg: text("status_msg"),
    /** When the user was last seen to do something. */
    lastActiveMs: key("last_active_ms").notNull(),
    /** When the row was last written: others' servers say again of who is online that they are. */
    toldMs: key("told_ms").notNull(),
    /** When it last became news. */
    position: key("position").notNull(),
  },
  (table) => [index("presence_by_position").on(table.position)],
);

/**
 * Which of our users are syncing, by the processes that they ask. Unlogged.
 *
 * A row goes when the user no longer asks that process, or when the process is gone (`end-absent-presence`).
 */
export const presenceSyncs = pgTable(
  "presence_syncs",
  {
    userKey: key("user_key").notNull(),
    processId: text("process_id").notNull(),
    /** What the user's clients say to be: `online` or `unavailable`. */
    state: text("state").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userKey, table.processId] })],
);
