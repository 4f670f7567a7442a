import { bigint, integer, pgTable, text } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * How far each application service has been told what happens, and the transaction that it is being told, which is the
 * same until it takes it.
 *
 * One row for each that is registered; those that have not been for an hour go when a process starts.
 */
export const appserviceFeeds = pgTable("appservice_feeds", {
  appserviceId: text("appservice_id").primaryKey(),
  /** It has been told everything up to here. */
  toldUpTo: key("told_up_to").notNull(),
  /** The number of the last transaction that was made. */
  lastTxn: key("last_txn").notNull(),
  /** The transaction on its way, as JSON; null if none is. */
  body: text("body"),
  /** Up to where that tells. */
  bodyUpTo: key("body_up_to").notNull().default(0),
  /** The devices that it brings messages to: these go with it. */
  bodyDevices: key("body_devices").array(),
  /** How often it has not been taken. */
  failures: integer("failures").notNull().default(0),
  /** When it is tried again. By the database's clock. */
  dueMs: key("due_ms").notNull().default(0),
  /** The process that sees to it, and until when. */
  holder: text("holder"),
  leasedUntilMs: key("leased_until_ms").notNull().default(0),
});
