import { sql } from "drizzle-orm";
import { bigint, index, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * What users have asked to be sent later, unless they say otherwise by then; and for a while, what became of it.
 *
 * Rows go a week after the end, or when a thousand of the same user have ended later.
 */
export const delayedEvents = pgTable(
  "delayed_events",
  {
    delayedKey: key("delayed_key").primaryKey().generatedAlwaysAsIdentity(),
    /** Whoever knows it may send, put off or cancel the event. */
    delayId: text("delay_id").notNull(),
    userKey: key("user_key").notNull(),
    deviceKey: key("device_key").notNull(),
    roomKey: key("room_key").notNull(),
    type: text("type").notNull(),
    /** Null if it is no state event. */
    stateKey: text("state_key"),
    /** The transaction ID of the request; null if it had none. */
    txnId: text("txn_id"),
    /** JSON. */
    content: text("content").notNull(),
    delayMs: key("delay_ms").notNull(),
    /** For how long it is to be sticky once it is sent; null if it is not to be. */
    stickyMs: key("sticky_ms"),
    /** When it was scheduled, or put off last. */
    scheduledMs: key("scheduled_ms").notNull(),
    dueMs: key("due_ms").notNull(),
    /** Until when a process is about to send it. */
    leasedUntilMs: key("leased_until_ms").notNull().default(0),
    /** When it was sent or cancelled, or could not be sent; null before. */
    endedMs: key("ended_ms"),
    /** What it was sent as; null if it was not. */
    eventId: text("event_id"),
    /** JSON: why it could not be sent; null if there was no such fault. */
    error: text("error"),
  },
  (table) => [
    uniqueIndex("delayed_events_by_id").on(table.delayId),
    uniqueIndex("delayed_events_by_transaction")
      .on(table.deviceKey, table.txnId, table.roomKey, table.type)
      .where(sql`txn_id is not null`),
    index("delayed_events_of_user").on(table.userKey, table.dueMs),
    index("delayed_events_due")
      .on(table.dueMs)
      .where(sql`ended_ms is null`),
    index("delayed_events_ended")
      .on(table.endedMs)
      .where(sql`ended_ms is not null`),
  ],
);
