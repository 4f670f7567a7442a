import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  index,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { RoomId } from "#src/kit/identifiers.ts";

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
