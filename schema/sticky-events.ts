import { bigint, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { ServerName } from "#src/kit/identifiers.ts";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * Events that every member of their rooms is to be told of, and every server that comes to them, for a while (MSC4354).
 *
 * A row goes when that time is over (`keep-sticky`).
 */
export const stickyEvents = pgTable(
  "sticky_events",
  {
    eventKey: key("event_key").primaryKey(),
    roomKey: key("room_key").notNull(),
    senderKey: key("sender_key").notNull(),
    /** The sender's server; null if that is ours. */
    serverName: text("server_name").$type<ServerName>(),
    untilMs: key("until_ms").notNull(),
    /**
     * The position at which clients are told; null while the room's current state does not let its sender say it,
     * which is asked again when that changes, or while clients are told of as many of theirs as may be.
     */
    toldAt: key("told_at"),
  },
  (table) => [
    index("sticky_events_in_room").on(table.roomKey, table.serverName, table.senderKey),
    index("sticky_events_over").on(table.untilMs),
    index("sticky_events_told").on(table.toldAt),
  ],
);

/**
 * Those of them that are sent to servers which came to the room after they had been sent.
 *
 * A row goes after that of its event (`keep-sticky`).
 */
export const stickyOwed = pgTable(
  "sticky_owed",
  {
    serverName: text("server_name").$type<ServerName>().notNull(),
    eventKey: key("event_key").notNull(),
    /** The position at which it came to be owed. */
    position: key("position").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.serverName, table.eventKey] }),
    index("sticky_owed_by_server").on(table.serverName, table.position),
    index("sticky_owed_by_position").on(table.position),
    index("sticky_owed_of_event").on(table.eventKey),
  ],
);
