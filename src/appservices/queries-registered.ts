import type { Queryable } from "#src/homeserver/database.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** Those of some users who have an account, or had one. */
export async function registeredAmong(
  db: Queryable,
  userIds: readonly UserId[],
): Promise<ReadonlySet<UserId>> {
  const rows = await db<{ userId: UserId }[]>`
    select user_id as "userId" from users join accounts using (user_key)
    where user_id = any(${userIds}::text[])`;
  return new Set(rows.map((it) => it.userId));
}
