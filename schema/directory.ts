import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";
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
 * The rooms that this server's directory lists.
 *
 * Rows go when a room is taken out of the directory, and with their rooms.
 */
export const publishedRooms = pgTable("published_rooms", {
  roomKey: key("room_key").primaryKey(),
  publisherKey: key("publisher_key").notNull(),
});
