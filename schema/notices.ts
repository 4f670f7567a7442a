import { bigint, pgTable } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * The rooms in which this server itself tells its users something: one for each user who was ever told.
 *
 * Rows stay, as users do: a user who has left the room is asked back into it.
 */
export const noticeRooms = pgTable("notice_rooms", {
  userKey: key("user_key").primaryKey(),
  roomKey: key("room_key").notNull(),
});
