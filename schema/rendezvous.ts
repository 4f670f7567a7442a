import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";

const number = (name: string) => bigint(name, { mode: "number" });

/**
 * Places at which two clients that do not know each other yet leave word for each other.
 *
 * Rows go when a client takes them back, and when they expire, some minutes after they were made or last written.
 */
export const rendezvousSessions = pgTable(
  "rendezvous_sessions",
  {
    /** Whoever has it may read and write. */
    sessionId: text("session_id").primaryKey(),
    /** By which of the two protocols its clients meet: those of one find nothing of the other. */
    protocol: text("protocol").$type<"msc4108" | "msc4388">().notNull().default("msc4108"),
    /** Another with every change. */
    etag: text("etag").notNull(),
    /** What was left there last. */
    said: text("said").notNull(),
    changedMs: number("changed_ms").notNull(),
    expiresAtMs: number("expires_at_ms").notNull(),
  },
  (table) => [index("rendezvous_sessions_by_expiry").on(table.expiresAtMs)],
);
