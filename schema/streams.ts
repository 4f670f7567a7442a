import { bigint, pgTable, smallint, text, timestamp } from "drizzle-orm/pg-core";

/**
 * The one counter of the server. Its row is the lane of every write that can be observed: taking a
 * position locks it until commit, so positions become visible in order.
 *
 * One row, for ever.
 */
export const positions = pgTable("positions", {
  id: smallint("id").primaryKey().default(1),
  /** The last position given out. What a snapshot sees here is what it can see of every stream. */
  position: bigint("position", { mode: "number" }).notNull(),
});

/**
 * How far each follower has come. Written in the transaction in which the follower acts.
 *
 * One row for each follower that the program has; a follower that is taken out of the program takes
 * its row with it in a migration.
 */
export const streamFollowers = pgTable("stream_followers", {
  name: text("name").primaryKey(),
  position: bigint("position", { mode: "number" }).notNull(),
});

/**
 * The processes that run on this database: whoever writes tells the others, if there are any.
 *
 * A row goes when its process ends; one that died is passed over when it has not been seen for a while,
 * and taken away by the next process that starts.
 */
export const processes = pgTable("processes", {
  processId: text("process_id").primaryKey(),
  /** By the database's clock. */
  seenAt: timestamp("seen_at", { withTimezone: true }).notNull(),
});
