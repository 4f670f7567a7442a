import { bigint, boolean, index, pgTable, primaryKey } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * Which threads users have subscribed to, and from which they have unsubscribed: of one kind of change the newest.
 *
 * Rows do not grow with events; they go with the user's account, and when a room is purged.
 */
export const threadSubscriptions = pgTable(
  "thread_subscriptions",
  {
    userKey: key("user_key").notNull(),
    /** The event that the thread begins with. */
    rootKey: key("root_key").notNull(),
    roomKey: key("room_key").notNull(),
    subscribed: boolean("subscribed").notNull(),
    /** Whether a client has subscribed by itself, as for a mention. */
    automatic: boolean("automatic").notNull(),
    position: key("position").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userKey, table.rootKey] }),
    index("thread_subscriptions_of_user").on(table.userKey, table.position),
    index("thread_subscriptions_by_position").on(table.position),
  ],
);
