import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  unique,
} from "drizzle-orm/pg-core";
import { devices } from "./devices.ts";

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
 * Events that had counted as unread and are not of the main timeline, so that counts can be told apart: those in
 * threads, and those that are redacted.
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
    /** The ID of the root; empty for what is redacted and so unread nowhere. */
    root: text("root").notNull(),
  },
  (table) => [primaryKey({ columns: [table.roomKey, table.eventKey] })],
);

/**
 * Where users want to be told of what happens while they are away, and how far they have been told.
 *
 * Rows go with the device that asked for them, when the user takes them back, and when the gateway says that there
 * is nobody.
 */
export const pushers = pgTable(
  "pushers",
  {
    pusherKey: key("pusher_key").primaryKey().generatedAlwaysAsIdentity(),
    userKey: key("user_key").notNull(),
    /** The device that asked for it. */
    deviceKey: key("device_key")
      .notNull()
      .references(() => devices.deviceKey, { onDelete: "cascade" }),
    appId: text("app_id").notNull(),
    pushkey: text("pushkey").notNull(),
    kind: text("kind").notNull(),
    appDisplayName: text("app_display_name").notNull(),
    deviceDisplayName: text("device_display_name").notNull(),
    profileTag: text("profile_tag"),
    lang: text("lang").notNull(),
    /** JSON. */
    data: text("data").notNull(),
    isEnabled: boolean("is_enabled").notNull().default(true),
    /** When it was last set. */
    setMs: key("set_ms").notNull(),
    /** Up to which position something has happened that may be the user's concern; see `follow-streams.ts`. */
    owedUpTo: key("owed_up_to").notNull(),
    /** Up to which position the user has been told. */
    pushedUpTo: key("pushed_up_to").notNull(),
    /** How much was unread by what was last told, or when it was made. Null if neither is known. */
    toldUnread: integer("told_unread"),
    /** How often in a row telling has failed, and when it is tried again. */
    failures: integer("failures").notNull().default(0),
    dueMs: key("due_ms").notNull().default(0),
    /** Of one by e-mail: when whoever has the address wanted it. Nothing is sent there before. */
    confirmedMs: key("confirmed_ms"),
    /** Of one by e-mail: when the last was sent, and how long after it none is. */
    mailedMs: key("mailed_ms").notNull().default(0),
    mailGapMs: key("mail_gap_ms").notNull().default(0),
    /** The process that is about it, and until when. */
    holder: text("holder"),
    leasedUntilMs: key("leased_until_ms").notNull().default(0),
  },
  (table) => [
    unique("pushers_by_pushkey").on(table.appId, table.pushkey, table.userKey),
    index("pushers_of_user").on(table.userKey),
    index("pushers_of_device").on(table.deviceKey),
    index("pushers_owed")
      .on(table.dueMs)
      .where(sql`owed_up_to > pushed_up_to`),
  ],
);
