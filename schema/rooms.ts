import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  pgTable,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { EventId, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
const key = (name: string) => bigint(name, { mode: "number" });

/**
 * A room, and its head: what the next event is built on. The head is one row, so that a writer can
 * see with one look whether what it holds in memory is still true.
 *
 * Rows go when a room is purged.
 */
export const rooms = pgTable("rooms", {
  roomKey: key("room_key").primaryKey().generatedAlwaysAsIdentity(),
  roomId: text("room_id").$type<RoomId>().notNull().unique(),
  version: text("version").notNull(),
  /** Goes up with every change of what follows. */
  headVersion: key("head_version").notNull().default(0),
  /** Event keys of the forward extremities: accepted events that no accepted event follows. */
  extremities: key("extremities")
    .array()
    .notNull()
    .default(sql`'{}'`),
  /** The greatest depth of the extremities. */
  depth: key("depth").notNull().default(0),
  /** The room's current state: a node of the state map. 0 is the empty state. */
  stateRoot: key("state_root").notNull().default(0),
  /** How many events have counted as unread so far. */
  ordinal: key("ordinal").notNull().default(0),
  /**
   * Whether the current state lacks members that are still to be fetched: then there is a row of
   * `partial_rooms`.
   */
  isPartial: boolean("is_partial").notNull().default(false),
  /** The position of the newest event that is shown to clients. */
  lastPosition: key("last_position").notNull().default(0),
  /** The depth of the join by which this server came to the room; 0 if the room began here, or depths had no end left. */
  cameDepth: key("came_depth").notNull().default(0),
});

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
    /** When it got its place, if it was stored without one. */
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
 * The nodes of the state map that came with an event: those of the state after it, and of the
 * resolved state before it where forks met. A node's key is `event_key * 1024 + index`.
 *
 * Rows go with their events. A join may bring more than go with one key: then there are further rows
 * at the positions after its own, which no event has.
 */
export const stateNodes = pgTable("state_nodes", {
  /** The position of the event: its key, or the anchor of one that was an outlier before. */
  eventKey: key("event_key").primaryKey(),
  nodes: bytea("nodes").notNull(),
});

/**
 * Each pair of event type and state key that any room's state has, with the number it has inside.
 *
 * Rows stay: the pairs of all rooms together are few, and nearly all are `m.room.member` of a user.
 */
export const stateSlots = pgTable(
  "state_slots",
  {
    slot: key("slot").primaryKey().generatedAlwaysAsIdentity(),
    type: text("type").notNull(),
    stateKey: text("state_key").notNull(),
  },
  (table) => [uniqueIndex("state_slots_by_pair").on(table.type, table.stateKey)],
);

/**
 * Who is or was what in which room, by the room's current state.
 *
 * One row for each member event of a current state; rows go when a room is purged.
 */
export const memberships = pgTable(
  "memberships",
  {
    userKey: key("user_key").notNull(),
    roomKey: key("room_key").notNull(),
    /** `join`, `invite`, `knock`, `leave` or `ban`. */
    membership: text("membership").notNull(),
    /** The member event. */
    eventKey: key("event_key").notNull(),
    /** When the room's current state came to say so. */
    position: key("position").notNull(),
    /** Whether the user is of this server. */
    local: boolean("local").notNull(),
    /** Whether a user who has left has forgotten the room too. */
    forgotten: boolean("forgotten").notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.userKey, table.roomKey] }),
    index("memberships_of_room").on(table.roomKey, table.membership),
    index("memberships_by_position").on(table.position),
    // By the position, too, those of ours who came first are found first.
    index("memberships_of_ours")
      .on(table.roomKey, table.position)
      .where(sql`local and membership = 'join'`),
  ],
);

/**
 * Rooms that this server has come to by a join without being told all of their members: these are fetched.
 *
 * A row goes when the state is whole, or when nobody of this server is in the room any more.
 */
export const partialRooms = pgTable(
  "partial_rooms",
  {
    roomKey: key("room_key").primaryKey(),
    /** The join: the state before it is what is wanted. */
    joinId: text("join_id").$type<EventId>().notNull(),
    /** The servers that were in the room then, the one that let us in first. */
    servers: text("servers").$type<ServerName>().array().notNull(),
    /** How often nobody could give the state. */
    failures: integer("failures").notNull().default(0),
    /** When it is tried again. */
    dueMs: key("due_ms").notNull(),
  },
  (table) => [index("partial_rooms_due").on(table.dueMs)],
);

/**
 * Which other servers are or were in which rooms: where they have users who are joined, by the room's
 * current state. An event of ours is owed to those whose row has `since < event key <= until`.
 *
 * A row whose server is out again goes when that server has taken what it was owed (`forget-destinations`);
 * all go when a room is purged.
 */
export const roomServers = pgTable(
  "room_servers",
  {
    roomKey: key("room_key").notNull(),
    serverName: text("server_name").$type<ServerName>().notNull(),
    /** The position at which the first of its users joined. */
    since: key("since").notNull(),
    /** The position at which the last of them ceased to be joined; null if one is. */
    until: key("until"),
    /** How many of its users are joined. */
    joined: integer("joined").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.roomKey, table.serverName, table.since] }),
    uniqueIndex("room_servers_now")
      .on(table.serverName, table.roomKey)
      .where(sql`until is null`),
    index("room_servers_came").on(table.since),
    index("room_servers_went")
      .on(table.until)
      .where(sql`until is not null`),
  ],
);

/**
 * Rooms that a user of ours is entering from outside: nobody else does meanwhile, and what others send of the room waits.
 *
 * A row goes when that is over. One that a dead process has left counts for nothing after a while, and goes when
 * another does.
 */
export const roomEntries = pgTable("room_entries", {
  roomId: text("room_id").$type<RoomId>().primaryKey(),
  holder: text("holder").notNull(),
  untilMs: key("until_ms").notNull(),
});

/**
 * Users of ours who are out of rooms of others, of which nobody there could be told yet: since they have declined an
 * invitation, or a join of theirs did not hold.
 *
 * A row goes when a server has been told, when none needs to be, or the user has come again, or after a week
 * (`tell-leaves`).
 */
export const untoldLeaves = pgTable(
  "untold_leaves",
  {
    userId: text("user_id").$type<UserId>().notNull(),
    roomId: text("room_id").$type<RoomId>().notNull(),
    servers: text("servers").$type<ServerName>().array().notNull(),
    reason: text("reason"),
    /** The member event that stood when they left, and still may; null if their leaving is known here. */
    eventKey: key("event_key"),
    sinceMs: key("since_ms").notNull(),
    failures: integer("failures").notNull().default(0),
    /** When it is tried again. */
    dueMs: key("due_ms").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.roomId] }),
    index("untold_leaves_due").on(table.dueMs),
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

/**
 * Invitations from other servers to rooms that this server is not in, and answers to knocks: what the
 * invited user is told of the room.
 *
 * A row goes when this server joins the room, or when the user refuses the invitation.
 */
export const receivedInvites = pgTable(
  "received_invites",
  {
    userKey: key("user_key").notNull(),
    roomKey: key("room_key").notNull(),
    /** The member event. */
    eventKey: key("event_key").notNull(),
    /** JSON of an array of stripped state events. */
    strippedState: text("stripped_state").notNull(),
    /** The server that has told us, and so is probably in the room. */
    toldBy: text("told_by").$type<ServerName>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.userKey, table.roomKey] })],
);

/**
 * The rooms in which this server itself tells its users something: one for each user who was ever told.
 *
 * Rows stay, as users do: a user who has left the room is asked back into it.
 */
export const noticeRooms = pgTable("notice_rooms", {
  userKey: key("user_key").primaryKey(),
  roomKey: key("room_key").notNull(),
});
