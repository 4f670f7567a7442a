import { bigint, pgTable, text } from "drizzle-orm/pg-core";

const number = (name: string) => bigint(name, { mode: "number" });

/**
 * When each job is to be run next, and which process has it in hand. All times are of the database's
 * clock, so that processes whose clocks differ agree.
 *
 * One row for each job that the program has; a job that is taken out of the program takes its row
 * with it in a migration.
 */
export const jobs = pgTable("jobs", {
  name: text("name").primaryKey(),
  dueAtMs: number("due_at_ms").notNull().default(0),
  /** The process that runs it. Null if none does. */
  holder: text("holder"),
  /** Until when it is that process's, should it die. */
  leasedUntilMs: number("leased_until_ms").notNull().default(0),
  /** Failures in a row. The wait after each is made from this. */
  failures: number("failures").notNull().default(0),
});
