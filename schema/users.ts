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
 * What other servers have told of their users' profiles, as these changed (MSC4259): not all of a profile, which is asked for.
 *
 * A row goes when the user is in no room any more that we know of (`forget-heard-profiles`).
 */
export const heardProfiles = pgTable("heard_profiles", {
  userKey: bigint("user_key", { mode: "number" }).primaryKey(),
  /** JSON: field → value. */
  fields: text("fields").notNull(),
});

/**
 * When users last changed, or took away, a field of their profile: their contacts' clients are told, and of fields that no
 * room shows of users of ours, other servers. Of users of others, when their server told us.
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
