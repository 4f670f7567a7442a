import { queryUser } from "#src/appservices/query-on-demand.ts";
import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** The part of a profile that rooms see too. Names are the wire's. */
export type ShownProfile = { readonly displayname?: string; readonly avatar_url?: string };

/** A whole profile, by the names of its fields. */
export type Profile = ShownProfile & Readonly<Record<string, unknown>>;

/** A row of `profiles`. */
export type ProfileRow = {
  readonly displayname: string | null;
  readonly avatar_url: string | null;
  /** JSON. */
  readonly others: string;
};

/** The name and picture of a user of this server; empty if they have none, or there is no such user. */
export async function profileOf(hs: Homeserver, userId: UserId): Promise<ShownProfile> {
  const [row] = await hs.sql<ProfileRow[]>`
    select displayname, avatar_url from users join profiles using (user_key)
    where user_id = ${userId}`;
  return row ? shownProfile(row) : {};
}

/** All that a user of this server tells about themselves; undefined if there is no such user. */
export async function wholeProfileOf(hs: Homeserver, userId: UserId): Promise<Profile | undefined> {
  const stored = await storedProfileOf(hs, userId);
  if (stored || !(await queryUser(hs, userId))) return stored;
  // An application service knows them, and has made them now.
  return await storedProfileOf(hs, userId);
}

async function storedProfileOf(hs: Homeserver, userId: UserId): Promise<Profile | undefined> {
  const [row] = await hs.sql<(ProfileRow | { others: null })[]>`
    select displayname, avatar_url, others
    from users join accounts using (user_key) left join profiles using (user_key)
    where user_id = ${userId}`;
  if (!row) return undefined;
  return row.others === null ? {} : wholeProfile(row);
}

/** The name and picture of a user, by the user's key. */
export async function profileByKey(sql: Queryable, userKey: number): Promise<ShownProfile> {
  const [row] = await sql<ProfileRow[]>`
    select displayname, avatar_url from profiles where user_key = ${userKey}`;
  return row ? shownProfile(row) : {};
}

export function wholeProfile(row: ProfileRow): Profile {
  return { ...shownProfile(row), ...(JSON.parse(row.others) as Record<string, unknown>) };
}

export function shownProfile(row: Pick<ProfileRow, "displayname" | "avatar_url">): ShownProfile {
  return {
    ...(row.displayname !== null && { displayname: row.displayname }),
    ...(row.avatar_url !== null && { avatar_url: row.avatar_url }),
  };
}
