import type { Queryable, Tx } from "#src/homeserver/database.ts";
import { type Profile, type ProfileRow, wholeProfile } from "./profile.ts";

/** What some users of this server tell about themselves, by their keys, as far as they ever told anything. */
export async function profilesOf(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<Map<number, Profile>> {
  if (userKeys.length === 0) return new Map();
  const rows = await sql<(ProfileRow & { userKey: number })[]>`
    select user_key as "userKey", displayname, avatar_url, others from profiles
    where user_key = any(${userKeys}::bigint[])`;
  return new Map(rows.map(({ userKey, ...row }) => [userKey, wholeProfile(row)]));
}

/** Stores what users of this server tell about themselves. */
export async function upsertProfiles(
  tx: Tx,
  its: readonly { readonly userKey: number; readonly profile: Profile }[],
): Promise<void> {
  if (its.length === 0) return;
  const rows = its.map(({ userKey, profile }) => {
    const { displayname = null, avatar_url = null, ...others } = profile;
    return { userKey, displayname, avatar_url, others: JSON.stringify(others) };
  });
  await tx`
    insert into profiles (user_key, displayname, avatar_url, others)
    select * from unnest(${rows.map((it) => it.userKey)}::bigint[], ${rows.map((it) => it.displayname)}::text[],
      ${rows.map((it) => it.avatar_url)}::text[], ${rows.map((it) => it.others)}::text[])
    on conflict (user_key) do update set displayname = excluded.displayname,
      avatar_url = excluded.avatar_url, others = excluded.others`;
}

/** Takes away all that users told about themselves: no room is told of it any more, and the user directory finds them no more. */
export async function deleteProfiles(tx: Tx, userKeys: readonly number[]): Promise<void> {
  if (userKeys.length === 0) return;
  await Promise.all([
    tx`delete from profiles where user_key = any(${userKeys}::bigint[])`,
    tx`delete from profile_updates where user_key = any(${userKeys}::bigint[])`,
    tx`delete from directory_words where user_key = any(${userKeys}::bigint[])`,
  ]);
}
