import { bigint, index, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * The last receipt of each user in each room, of each type and for each thread.
 *
 * Rows do not grow with events; they go when a room is purged. Of users of other servers, those of so many threads stay
 * (`record-receipts.ts`).
 */
export const receipts = pgTable(
  "receipts",
  {
    roomKey: key("room_key").notNull(),
    userKey: key("user_key").notNull(),
    /** `m.read` or `m.read.private`. */
    type: text("type").notNull(),
    /** The root of a thread, or `main`; empty if the receipt is for the room with all its threads. */
    thread: text("thread").notNull(),
    /** The event, and its place in the room's order. */
    eventKey: key("event_key").notNull(),
    anchor: key("anchor").notNull(),
    anchorOffset: integer("anchor_offset").notNull(),
    /** When it was sent, in milliseconds. */
    ts: key("ts").notNull(),
    position: key("position").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.roomKey, table.userKey, table.type, table.thread] }),
    index("receipts_by_position").on(table.position),
  ],
);

/**
 * Who is typing where. Unlogged: should the database crash, nobody is typing.
 *
 * Rows go some minutes after the user has stopped (`forget-typing`).
 */
export const typing = pgTable(
  "typing",
  {
    roomKey: key("room_key").notNull(),
    userKey: key("user_key").notNull(),
    /** Until when, in milliseconds; the past if the user has stopped. */
    untilMs: key("until_ms").notNull(),
    position: key("position").notNull(),
    /** The position of the last change that clients are told of: not those who go on typing. */
    newsPosition: key("news_position").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.roomKey, table.userKey] }),
    index("typing_by_position").on(table.position),
  ],
);
