import { bigint, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { RoomAlias } from "#src/kit/identifiers.ts";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * The aliases of this server.
 *
 * Rows go when an alias is deleted, and with their rooms.
 */
export const roomAliases = pgTable(
  "room_aliases",
  {
    alias: text("alias").$type<RoomAlias>().primaryKey(),
    roomKey: key("room_key").notNull(),
    creatorKey: key("creator_key").notNull(),
  },
  (table) => [index("room_aliases_of_room").on(table.roomKey)],
);

/**
 * The rooms that this server's directory lists, and those that application services list for their networks.
 *
 * Rows go when a room is taken out of the directory, and with their rooms.
 */
export const publishedRooms = pgTable(
  "published_rooms",
  {
    roomKey: key("room_key").notNull(),
    /** As `networkName` has them; empty for the server's own list. */
    network: text("network").notNull().default(""),
    publisherKey: key("publisher_key").notNull(),
  },
  (table) => [primaryKey({ columns: [table.roomKey, table.network] })],
);
