import type { Queryable } from "#src/homeserver/database.ts";
import type { UserId } from "#src/kit/identifiers.ts";

export type HeardProfile = {
  readonly userKey: number;
  readonly userId: UserId;
  /** JSON; null if nothing has been heard. */
  readonly fields: string | null;
};

/** What has been heard of users of other servers, of those who are in rooms that we know of. */
export async function heardProfiles(
  sql: Queryable,
  userIds: readonly UserId[],
): Promise<readonly HeardProfile[]> {
  return await sql<HeardProfile[]>`
    select user_key as "userKey", user_id as "userId", fields
    from users left join heard_profiles using (user_key)
    where user_id = any(${userIds}::text[]) and not local and exists (
      select from memberships
      where memberships.user_key = users.user_key and membership = 'join')`;
}

export async function storeHeard(
  sql: Queryable,
  its: readonly { readonly userKey: number; readonly fields: string }[],
): Promise<void> {
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
