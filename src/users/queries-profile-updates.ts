import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";

/** For how long a process has the telling of a profile for itself, from each sign of life. */
const LEASE_MS = 30_000;

/** For how long rooms are told that could not be at first, and the shortest wait; the longer it takes, the longer the waits. */
const MOST_MS = 24 * 60 * 60_000;
const FIRST_RETRY_MS = 60_000;
const WAIT_SHARE = 0.25;

/** How far the rooms have been told of a profile, and of which state of it. */
export type Progress = { readonly generation: number; readonly afterRoomKey: number };

/** Notes that rooms are to be told of profiles, all of them from now on. */
export async function noteChanged(
  tx: Tx,
  userKeys: readonly number[],
  nowMs: UnixMs,
): Promise<void> {
  if (userKeys.length === 0) return;
  await tx`
    insert into profile_updates (user_key, since_ms)
    select unnest(${userKeys}::bigint[]), ${nowMs}::bigint
    on conflict (user_key) do update set generation = profile_updates.generation + 1,
      after_room_key = 0, again_after = null, due_ms = 0, since_ms = excluded.since_ms`;
}

/** Takes the telling of a profile in hand. @returns undefined if nothing is to be told, or another process has it in hand. */
export async function claimUpdate(hs: Homeserver, userKey: number): Promise<Progress | undefined> {
  const now = hs.now();
  const [row] = await hs.sql<Progress[]>`
    update profile_updates set leased_until_ms = ${now + LEASE_MS}
    where user_key = ${userKey} and leased_until_ms <= ${now}
    returning generation, after_room_key as "afterRoomKey"`;
  return row;
}

/**
 * Notes how far the rooms have been told, and keeps the telling in hand.
 *
 * @param again after which room those come that are to be told later; undefined if there are none.
 * @returns from where to go on: from the start, if the profile has changed meanwhile.
 */
export async function advanceUpdate(
  hs: Homeserver,
  userKey: number,
  { generation, afterRoomKey, again }: Progress & { readonly again?: number | undefined },
): Promise<Progress | undefined> {
  const [row] = await hs.sql<Progress[]>`
    update profile_updates set leased_until_ms = ${hs.now() + LEASE_MS},
      after_room_key = case when generation = ${generation} then ${afterRoomKey} else 0 end,
      again_after = case when generation = ${generation} then least(again_after, ${again ?? null}::bigint) end
    where user_key = ${userKey}
    returning generation, after_room_key as "afterRoomKey"`;
  return row;
}

/**
 * Notes that all rooms have been told, or that those that could not be are to be later.
 *
 * @returns false if the profile has changed meanwhile.
 */
export async function finishUpdate(
  hs: Homeserver,
  userKey: number,
  { generation }: Progress,
): Promise<boolean> {
  const now = hs.now();
  const ended = await hs.sql`
    delete from profile_updates where user_key = ${userKey} and generation = ${generation}
      and (again_after is null or since_ms <= ${now - MOST_MS})`;
  if (ended.count > 0) return true;
  const putOff = await hs.sql`
    update profile_updates set leased_until_ms = 0, after_room_key = again_after, again_after = null,
      due_ms = ${now} + greatest(${FIRST_RETRY_MS}, ${WAIT_SHARE}::float8 * (${now} - since_ms))::bigint
    where user_key = ${userKey} and generation = ${generation}`;
  return putOff.count > 0;
}

/** Gives the telling out of hand, for the next try. */
export async function releaseUpdate(hs: Homeserver, userKey: number): Promise<void> {
  await hs.sql`update profile_updates set leased_until_ms = 0 where user_key = ${userKey}`;
}

/** The next users, by their keys, of whose profiles rooms are to be told, and no process is about it. */
export async function waitingUpdates(
  hs: Homeserver,
  { afterKey, limit }: { readonly afterKey: number; readonly limit: number },
): Promise<readonly { userKey: number; userId: `@${string}:${string}` }[]> {
  return await hs.sql<{ userKey: number; userId: `@${string}:${string}` }[]>`
    select user_key as "userKey", user_id as "userId"
    from profile_updates join users using (user_key)
    where leased_until_ms <= ${hs.now()} and due_ms <= ${hs.now()} and user_key > ${afterKey}
    order by user_key limit ${limit}`;
}

/** The next rooms that a user is joined to, by the rooms' keys. */
export async function joinedRoomsAfter(
  hs: Homeserver,
  userKey: number,
  { afterRoomKey, limit }: { readonly afterRoomKey: number; readonly limit: number },
): Promise<number[]> {
  const rows = await hs.sql<{ room_key: number }[]>`
    select room_key from memberships
    where user_key = ${userKey} and room_key > ${afterRoomKey} and membership = 'join'
    order by room_key limit ${limit}`;
  return rows.map((it) => it.room_key);
}
