import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { CrossSigningRow } from "../queries-cross-signing.ts";
import type { RemoteDevice } from "./remote-list.ts";

/** What we have of the list of a user's devices. */
export type KnownList = {
  readonly userKey: number;
  /** When we were last told of a change; null if never. */
  readonly changedAt: Position | null;
  /** The three are null if we have no list. */
  readonly streamId: number | null;
  readonly askedAt: Position | null;
  readonly isStale: boolean | null;
};

/** The same, and how many devices are in it. */
export type CountedList = KnownList & { readonly devices: number };

export async function knownLists(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<CountedList[]> {
  if (userKeys.length === 0) return [];
  return await sql<CountedList[]>`
    select user_key as "userKey", device_lists.position as "changedAt", stream_id as "streamId",
      asked_at as "askedAt", is_stale as "isStale",
      (select count(*) from remote_devices where remote_devices.user_key = wanted.user_key) as devices
    from unnest(${userKeys}::bigint[]) as wanted (user_key)
    left join device_lists using (user_key)
    left join remote_device_lists using (user_key)`;
}

/** The same, and whether it can be true. */
export type ListStanding = KnownList & {
  /** Since when, without a break, a room has been shared with the user; null if none is. */
  readonly sharedSince: Position | null;
  /** The position up to which all of this is true. */
  readonly seenAt: Position;
};

/** What we have of users of other servers: with one look into an index for each room that they are in. */
export async function listStandings(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<ListStanding[]> {
  if (userKeys.length === 0) return [];
  return await sql<ListStanding[]>`
    select user_key as "userKey", since as "sharedSince", device_lists.position as "changedAt",
      stream_id as "streamId", asked_at as "askedAt", is_stale as "isStale",
      (select position from positions where id = 1) as "seenAt"
    from unnest(${userKeys}::bigint[]) as wanted (user_key)
    left join lateral (
      select min(greatest(theirs.position, ours.position)) as since
      from memberships as theirs cross join lateral (
        select position from memberships
        where room_key = theirs.room_key and local and membership = 'join'
        order by position limit 1
      ) as ours
      where theirs.user_key = wanted.user_key and theirs.membership = 'join'
    ) as shared on true
    left join device_lists using (user_key)
    left join remote_device_lists using (user_key)`;
}

/** A list as it is to stand. */
export type ListRow = {
  readonly userKey: number;
  readonly streamId: number | null;
  readonly askedAt: Position;
  readonly isStale: boolean;
};

export async function upsertLists(lane: Tx, rows: readonly ListRow[]): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into remote_device_lists (user_key, stream_id, asked_at, is_stale)
    select user_key, stream_id, asked_at, is_stale = 'true' from unnest(
      ${rows.map((it) => it.userKey)}::bigint[], ${rows.map((it) => it.streamId)}::bigint[],
      ${rows.map((it) => it.askedAt)}::bigint[], ${rows.map((it) => String(it.isStale))}::text[])
      as new (user_key, stream_id, asked_at, is_stale)
    on conflict (user_key) do update set stream_id = excluded.stream_id,
      asked_at = excluded.asked_at, is_stale = excluded.is_stale`;
}

export type RemoteDeviceName = { readonly userKey: number; readonly deviceId: string };
export type RemoteDeviceRow = RemoteDevice & { readonly userKey: number };

/** Those of some devices that are in our lists. */
export async function listedDevices(
  sql: Queryable,
  names: readonly RemoteDeviceName[],
): Promise<RemoteDeviceRow[]> {
  if (names.length === 0) return [];
  return await sql<RemoteDeviceRow[]>`
    select user_key as "userKey", device_id as "deviceId", display_name as "displayName", json
    from remote_devices where (user_key, device_id) in (
      select * from unnest(${names.map((it) => it.userKey)}::bigint[],
        ${names.map((it) => it.deviceId)}::text[]))`;
}

/** Deletes all devices of some users' lists. */
export async function deleteListedDevices(lane: Tx, userKeys: readonly number[]): Promise<void> {
  if (userKeys.length === 0) return;
  await lane`delete from remote_devices where user_key = any(${userKeys}::bigint[])`;
}

export async function deleteRemoteDevices(
  lane: Tx,
  names: readonly RemoteDeviceName[],
): Promise<void> {
  if (names.length === 0) return;
  await lane`
    delete from remote_devices using unnest(${names.map((it) => it.userKey)}::bigint[],
      ${names.map((it) => it.deviceId)}::text[]) as gone (user_key, device_id)
    where remote_devices.user_key = gone.user_key and remote_devices.device_id = gone.device_id`;
}

/** Each at most once. */
export async function upsertRemoteDevices(
  lane: Tx,
  rows: readonly RemoteDeviceRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into remote_devices (user_key, device_id, display_name, json)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]), unnest(${rows.map((it) => it.deviceId)}::text[]),
      unnest(${rows.map((it) => it.displayName)}::text[]), unnest(${rows.map((it) => it.json)}::text[])
    on conflict (user_key, device_id) do update
      set display_name = excluded.display_name, json = excluded.json`;
}

/**
 * Gives users of other servers cross-signing keys. What our users have signed of a key stays as long as
 * the key does.
 *
 * @param whole those of them who have no others: what is not among the keys goes.
 */
export async function replaceRemoteKeys(
  lane: Tx,
  keys: readonly CrossSigningRow[],
  whole: readonly number[],
): Promise<void> {
  if (keys.length + whole.length === 0) return;
  const userKeys = keys.map((it) => it.userKey);
  const usages = keys.map((it) => it.usage);
  const publicKeys = keys.map((it) => it.publicKey);
  await Promise.all([
    lane`
      delete from cross_signing_keys as old where (
        old.user_key = any(${whole}::bigint[])
        or (old.user_key, old.usage) in (select * from unnest(${userKeys}::bigint[], ${usages}::text[]))
      ) and (old.user_key, old.usage, old.public_key) not in (
        select * from unnest(${userKeys}::bigint[], ${usages}::text[], ${publicKeys}::text[]))`,
    lane`
      insert into cross_signing_keys (user_key, usage, public_key, json)
      select unnest(${userKeys}::bigint[]), unnest(${usages}::text[]), unnest(${publicKeys}::text[]),
        unnest(${keys.map((it) => it.json)}::text[])
      on conflict (user_key, usage) do update set json = excluded.json
      where cross_signing_keys.json <> excluded.json`,
  ]);
}

/** Deletes lists of users with whom nobody here shares a room, and their keys. @returns how many. */
export async function deleteUnsharedLists(sql: Queryable, limit: number): Promise<number> {
  const gone = await sql`
    with unshared as (
      select user_key from remote_device_lists as list where not exists (
        select from memberships as theirs
        where theirs.user_key = list.user_key and theirs.membership = 'join' and exists (
          select from memberships as ours where ours.room_key = theirs.room_key
            and ours.local and ours.membership = 'join' offset 0) offset 0)
      limit ${limit}
    ), keys as (
      delete from cross_signing_keys using unshared
      where cross_signing_keys.user_key = unshared.user_key
    )
    delete from remote_device_lists using unshared
    where remote_device_lists.user_key = unshared.user_key`;
  return gone.count;
}
