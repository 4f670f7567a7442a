import type { Queryable } from "#src/homeserver/database.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Profile } from "./profile.ts";

/** Those users of other servers who are in rooms that we know of. */
export async function usersToHearOf(
  sql: Queryable,
  userIds: readonly UserId[],
): Promise<readonly { readonly userKey: number; readonly userId: UserId }[]> {
  return await sql<{ userKey: number; userId: UserId }[]>`
    select user_key as "userKey", user_id as "userId" from users
    where user_id = any(${userIds}::text[]) and not local and exists (
      select from memberships
      where memberships.user_key = users.user_key and membership = 'join')`;
}

/** What has been heard of some users, by their keys, as far as anything has been. */
export async function heardOf(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<Map<number, Profile>> {
  if (userKeys.length === 0) return new Map();
  const rows = await sql<{ userKey: number; fields: string }[]>`
    select user_key as "userKey", fields from heard_profiles
    where user_key = any(${userKeys}::bigint[])`;
  return new Map(rows.map((it) => [it.userKey, JSON.parse(it.fields) as Profile]));
}

export async function storeHeard(
  sql: Queryable,
  its: readonly { readonly userKey: number; readonly fields: string }[],
): Promise<void> {
  if (its.length === 0) return;
  await sql`
    insert into heard_profiles (user_key, fields)
    select unnest(${its.map((it) => it.userKey)}::bigint[]), unnest(${its.map((it) => it.fields)}::text[])
    on conflict (user_key) do update set fields = excluded.fields`;
}

/** Forgets what was heard of users who are in no room any more. */
export async function deleteUnheard(sql: Queryable): Promise<void> {
  await sql`
    delete from heard_profiles where not exists (
      select from memberships
      where memberships.user_key = heard_profiles.user_key and membership = 'join')`;
}
