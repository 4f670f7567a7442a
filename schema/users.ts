import { bigint, boolean, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
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

/**
 * When users of ours last changed, or took away, a field of their profile: their contacts' clients are told.
 *
 * One row for each field that a user ever had, whose position moves; rows stay, as users do.
 */
export const profileChanges = pgTable(
  "profile_changes",
  {
    userKey: bigint("user_key", { mode: "number" }).notNull(),
    field: text("field").notNull(),
    position: bigint("position", { mode: "number" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userKey, table.field] }),
    index("profile_changes_by_position").on(table.position),
  ],
);
