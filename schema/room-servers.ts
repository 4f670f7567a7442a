import { sql } from "drizzle-orm";
import {
  bigint,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { EventId, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";

const key = (name: string) => bigint(name, { mode: "number" });

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
 * Rooms that a user of ours is entering from outside, or knocks on: nobody else does meanwhile, and what others send of the room waits.
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
 * invitation, or a join of theirs did not hold. Those, too, who are being let in: should the process end meanwhile, they are out.
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
