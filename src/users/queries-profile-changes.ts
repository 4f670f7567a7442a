import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { ProfileRow } from "./profile.ts";

export type ChangedField = {
  readonly userKey: number;
  readonly field: string;
  readonly position: Position;
};

/** Each of a user's fields at most once. */
export async function upsertChangedFields(
  lane: Tx,
  fields: readonly ChangedField[],
): Promise<void> {
  await lane`
    insert into profile_changes (user_key, field, position)
    select unnest(${fields.map((it) => it.userKey)}::bigint[]), unnest(${fields.map((it) => it.field)}::text[]),
      unnest(${fields.map((it) => it.position)}::bigint[])
    on conflict (user_key, field) do update set position = excluded.position`;
}

export async function changedFieldsBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<ChangedField[]> {
  return await sql<ChangedField[]>`
    select user_key as "userKey", field, position from profile_changes
    where position > ${after} and position <= ${upTo}`;
}

/** The rooms that users are joined to, by user key. */
export async function roomsOfChanged(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<ReadonlyMap<number, readonly number[]>> {
  if (userKeys.length === 0) return new Map();
  const rows = await sql<{ userKey: number; roomKey: number }[]>`
    select user_key as "userKey", room_key as "roomKey" from memberships
    where user_key = any(${userKeys}::bigint[]) and membership = 'join'`;
  return new Map(
    [...Map.groupBy(rows, (it) => it.userKey)].map(([userKey, its]) => [
      userKey,
      its.map((it) => it.roomKey),
    ]),
  );
}

/** The fields that others, with whom a user shares one of some rooms, have changed in a range, and the user themselves. */
export async function fieldsOfContacts(
  sql: Queryable,
  userKey: number,
  {
    after,
    upTo,
    rooms,
  }: { readonly after: Position; readonly upTo: Position; readonly rooms: readonly number[] },
): Promise<ChangedField[]> {
  return await sql<ChangedField[]>`
    select user_key as "userKey", field, position from profile_changes
    where position > ${after} and position <= ${upTo} and (user_key = ${userKey} or exists (
      select from memberships where memberships.user_key = profile_changes.user_key
        and membership = 'join' and room_key = any(${rooms}::bigint[])))`;
}

/** The users in some rooms of whose profiles anything is known here. */
export async function usersInRooms(
  sql: Queryable,
  roomKeys: readonly number[],
): Promise<readonly number[]> {
  const rows = await sql<{ userKey: number }[]>`
    select distinct user_key as "userKey" from memberships
    where room_key = any(${roomKeys}::bigint[]) and membership = 'join' and (local or exists (
      select from heard_profiles where heard_profiles.user_key = memberships.user_key))`;
  return rows.map((it) => it.userKey);
}

export async function profilesByKeys(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<readonly (ProfileRow & { readonly userKey: number; readonly userId: UserId })[]> {
  return await sql<(ProfileRow & { userKey: number; userId: UserId })[]>`
    select user_key as "userKey", user_id as "userId", displayname, avatar_url,
      coalesce(others, fields, '{}') as others
    from users left join profiles using (user_key) left join heard_profiles using (user_key)
    where user_key = any(${userKeys}::bigint[])`;
}
