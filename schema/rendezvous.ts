import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";

const number = (name: string) => bigint(name, { mode: "number" });

/**
 * Places at which two clients that do not know each other yet leave word for each other.
 *
 * Rows go when a client takes them back, and when they expire, some minutes after they were last written.
 */
export const rendezvousSessions = pgTable(
  "rendezvous_sessions",
  {
    /** Whoever has it may read and write. */
    sessionId: text("session_id").primaryKey(),
    /** Another with every change. */
    etag: text("etag").notNull(),
    /** What was left there last. */
    said: text("said").notNull(),
    changedMs: number("changed_ms").notNull(),
    expiresAtMs: number("expires_at_ms").notNull(),
  },
  (table) => [index("rendezvous_sessions_by_expiry").on(table.expiresAtMs)],
);
