import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  index,
  integer,
  pgTable,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { EventId } from "#src/kit/identifiers.ts";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * Every event we know, in the exact JSON that was signed.
 *
 * Rows go when a room is purged.
 */
export const events = pgTable(
  "events",
  {
    /** The position it was stored at. */
    eventKey: key("event_key").primaryKey(),
    roomKey: key("room_key").notNull(),
    eventId: text("event_id").$type<EventId>().notNull(),
    type: text("type").notNull(),
    /** Null if it is no state event. */
    stateKey: text("state_key"),
    senderKey: key("sender_key").notNull(),
    depth: key("depth").notNull(),
    originServerTs: key("origin_server_ts").notNull(),
    /** See `EventStatus`. */
    status: smallint("status").notNull(),
    /**
     * Its place in the room's one order of events, by (anchor, offset). A live event has its own
     * position and 0; one that was fetched later stands before the live event whose position it
     * has, at a negative offset. Null for an outlier, which has no place.
     */
    anchor: key("anchor"),
    anchorOffset: integer("anchor_offset").notNull().default(0),
    /**
     * When it got its place, if it was stored without one. Of one that has had its place all along: when it turned out to be
     * part of the room, or to be none, as the room's members came to be known.
     */
    placedAt: key("placed_at"),
    /** The state before it and after it: nodes of the state map. Null for an outlier. */
    stateBefore: key("state_before"),
    stateAfter: key("state_after"),
    /**
     * The room's current state once it was there, where there were forks. Null where there were none: then
     * the room's state before it was `stateBefore`, and `stateAfter` is that after it.
     */
    roomState: key("room_state"),
    /** How many events of the room had counted as unread, it included. */
    ordinal: key("ordinal").notNull().default(0),
    /** The event key of the state event that it took the place of. */
    replaces: key("replaces"),
    /** Event keys of its `auth_events`, as far as they are known. Null if it is no state event. */
    authKeys: key("auth_keys").array(),
    /** The event key of the redaction that was applied to it. */
    redactedBy: key("redacted_by"),
    /** The device that sent it and the transaction ID it chose, if the device is one of ours. */
    deviceKey: key("device_key"),
    txnId: text("txn_id"),
    /**
     * Whether we tell other servers of it; null if only its sender decides. Those of others that were
     * brought to us alone, in a handshake, are told; those of ours that came back from others are not.
     */
    relayed: boolean("relayed"),
    /**
     * Whether it got its place while the room's state lacked members, so that its own states lack them too and it
     * is to be judged again. Null if not.
     */
    onPartial: boolean("on_partial"),
    json: text("json").notNull(),
  },
  (table) => [
    uniqueIndex("events_by_id").on(table.eventId),
    index("events_in_room_order").on(table.roomKey, table.anchor, table.anchorOffset),
    index("events_placed_later")
      .on(table.placedAt)
      .where(sql`placed_at is not null`),
    uniqueIndex("events_by_transaction")
      .on(table.deviceKey, table.txnId, table.roomKey, table.type)
      .where(sql`device_key is not null`),
  ],
);

/**
 * Events that refer to another by `m.relates_to`, with their places in their room's order: whoever asks what
 * relates to an event, and how much, need not look at the events.
 *
 * A row goes when its event is redacted, or with it.
 */
export const relations = pgTable(
  "relations",
  {
    eventKey: key("event_key").primaryKey(),
    roomKey: key("room_key").notNull(),
    relatesTo: text("relates_to").$type<EventId>().notNull(),
    relType: text("rel_type").notNull(),
    /** See `events`. */
    anchor: key("anchor").notNull(),
    anchorOffset: integer("anchor_offset").notNull().default(0),
    type: text("type").notNull(),
    senderKey: key("sender_key").notNull(),
    /** The `key` of an annotation; else null. */
    aggregationKey: text("aggregation_key"),
  },
  (table) => [
    index("relations_of_event").on(
      table.relatesTo,
      table.relType,
      table.anchor,
      table.anchorOffset,
    ),
    index("relations_in_threads")
      .on(table.roomKey, table.anchor, table.anchorOffset)
      .where(sql`rel_type = 'm.thread'`),
  ],
);

/**
 * Events we have not got, though events that we have got name them as their `prev_events`: the holes
 * and the backward extremities of a room.
 *
 * A row goes when the missing event comes; that of an event that waits for it, when that is taken in after it.
 */
export const missingEvents = pgTable(
  "missing_events",
  {
    roomKey: key("room_key").notNull(),
    missingId: text("missing_id").$type<EventId>().notNull(),
    eventKey: key("event_key").notNull(),
    /**
     * Whether the hole is to be filled by itself, since this server was in the room when it came about. What is
     * before its coming is fetched when somebody wants to read it.
     */
    owed: boolean("owed").notNull().default(true),
    /** When it may be tried to fill it next, and how often it has been. */
    dueMs: key("due_ms").notNull().default(0),
    failures: integer("failures").notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.missingId, table.eventKey] }),
    index("missing_events_of_room").on(table.roomKey),
    index("missing_events_of_event").on(table.eventKey),
    index("missing_events_due")
      .on(table.dueMs)
      .where(sql`owed`),
  ],
);

/**
 * Redactions of events that we have not got.
 *
 * A row goes when the event comes.
 */
export const waitingRedactions = pgTable(
  "waiting_redactions",
  {
    target: text("target").$type<EventId>().notNull(),
    redactionKey: key("redaction_key").notNull(),
    roomKey: key("room_key").notNull(),
    /** Whether the sender may redact what others sent. */
    anyone: boolean("anyone").notNull(),
    /** The domain of the sender, who else may redact what users of the same server sent. */
    domain: text("domain").notNull(),
  },
  (table) => [primaryKey({ columns: [table.target, table.redactionKey] })],
);

/**
 * Users who were removed from rooms in such a way that what they sent there during their last stay is redacted (MSC4293):
 * how far that has come, and what of it may still come.
 *
 * A row goes when all is redacted and the user has become something else in the room (`redact-senders`).
 */
export const senderRedactions = pgTable(
  "sender_redactions",
  {
    /** The member event by which the user was removed. */
    redactionKey: key("redaction_key").primaryKey(),
    roomKey: key("room_key").notNull(),
    senderKey: key("sender_key").notNull(),
    /** The place in the room's order at which their stay began; null until that was looked up. */
    sinceAnchor: key("since_anchor"),
    sinceOffset: integer("since_offset").notNull().default(0),
    /** The place down to which all is redacted; null until that was begun. */
    downAnchor: key("down_anchor"),
    downOffset: integer("down_offset").notNull().default(0),
    done: boolean("done").notNull().default(false),
    /** The position of the last step. */
    position: key("position").notNull(),
  },
  (table) => [
    index("sender_redactions_in_room").on(table.roomKey, table.senderKey),
    index("sender_redactions_by_position").on(table.position),
    index("sender_redactions_unfinished")
      .on(table.redactionKey)
      .where(sql`not done`),
  ],
);
