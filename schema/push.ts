import { bigint, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * What users have changed of the default push rules, and the rules they have added.
 *
 * Rows go with the account.
 */
export const pushRules = pgTable(
  "push_rules",
  {
    userKey: key("user_key").primaryKey(),
    /** JSON; see `UserPushRules`. */
    rules: text("rules").notNull(),
    position: key("position").notNull(),
  },
  (table) => [index("push_rules_by_position").on(table.position)],
);

/**
 * How far each user of this server has read each room: the greater of their receipts, public or private,
 * and of the events they have sent themselves.
 *
 * A few rows for a user and a room; they go with the account, and when the room is purged.
 */
export const roomReads = pgTable(
  "room_reads",
  {
    userKey: key("user_key").notNull(),
    roomKey: key("room_key").notNull(),
    /** The root of the thread that is read so far, or `main`; empty for the room with all its threads. */
    thread: text("thread").notNull(),
    /** The anchor of the last event that is read. */
    anchor: key("anchor").notNull(),
    /** How many events of the room had counted as unread by then. */
    ordinal: key("ordinal").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userKey, table.roomKey, table.thread] })],
);

/**
 * Events that are to be highlighted for a user of this server, until they are read.
 *
 * Rows go when the user reads so far (`forget-read-highlights`), and with their events.
 */
export const highlights = pgTable(
  "highlights",
  {
    roomKey: key("room_key").notNull(),
    /** 0 stands for everyone in the room. */
    userKey: key("user_key").notNull(),
    eventKey: key("event_key").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userKey, table.roomKey, table.eventKey] }),
    index("highlights_of_room").on(table.roomKey, table.eventKey),
  ],
);

/**
 * Events that count as unread and are in a thread, so that counts can be told apart by thread.
 *
 * One row for such an event; rows go when a room is purged.
 */
export const threadedEvents = pgTable(
  "threaded_events",
  {
    roomKey: key("room_key").notNull(),
    eventKey: key("event_key").notNull(),
    /** How many events of the room had counted as unread, it included. */
    ordinal: key("ordinal").notNull(),
    /** The ID of the root. */
    root: text("root").notNull(),
  },
  (table) => [primaryKey({ columns: [table.roomKey, table.eventKey] })],
);
