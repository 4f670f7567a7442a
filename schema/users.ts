import { bigint, boolean, pgTable, text } from "drizzle-orm/pg-core";
import type { UserId } from "#src/kit/identifiers.ts";

/**
 * Every user that any table speaks of, ours and others', with the key it has inside.
 *
 * Rows stay: a user ID, once used, is never another's.
 */
export const users = pgTable("users", {
  userKey: bigint("user_key", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  userId: text("user_id").$type<UserId>().notNull().unique(),
  /** Whether the user is of this server. */
  local: boolean("local").notNull(),
});
