import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * What users have reported to those who run this server: an event in a room, a room, or a user.
 *
 * Rows go after a year.
 */
export const reports = pgTable(
  "reports",
  {
    reportKey: key("report_key").primaryKey().generatedAlwaysAsIdentity(),
    reporterKey: key("reporter_key").notNull(),
    /** By their IDs: a report outlives what it is about. */
    roomId: text("room_id").$type<RoomId>(),
    eventId: text("event_id").$type<EventId>(),
    userId: text("user_id").$type<UserId>(),
    reason: text("reason"),
    receivedMs: key("received_ms").notNull(),
  },
  (table) => [index("reports_by_age").on(table.receivedMs)],
);
