import { ALIVE_SECONDS } from "#src/homeserver/count-alive.ts";
import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { SyncingState } from "./decide-presence.ts";
import type { PresenceRow, PresenceState } from "./presence.ts";

type Row = {
  user_key: number;
  local: boolean;
  state: PresenceState;
  status_msg: string | null;
  last_active_ms: number;
  told_ms: number;
  position: number;
};

function presenceOf(row: Row): PresenceRow {
  return {
    userKey: row.user_key,
    local: row.local,
    state: row.state,
    statusMsg: row.status_msg ?? undefined,
    lastActiveMs: row.last_active_ms,
    toldMs: row.told_ms,
    position: row.position,
  };
}

export async function presenceOfUsers(
  db: Queryable,
  userKeys: readonly number[],
): Promise<PresenceRow[]> {
  if (userKeys.length === 0) return [];
  const rows = await db<Row[]>`
    select * from presence where user_key = any(${userKeys}::bigint[])`;
  return rows.map(presenceOf);
}

/** All that is known of anybody. */
export async function allPresence(db: Queryable): Promise<PresenceRow[]> {
  return (await db<Row[]>`select * from presence`).map(presenceOf);
}

export async function presenceBetween(
  db: Queryable,
  after: Position,
  upTo: Position,
): Promise<PresenceRow[]> {
  const rows = await db<Row[]>`
    select * from presence where position > ${after} and position <= ${upTo}`;
  return rows.map(presenceOf);
}

/** Each user at most once. */
export async function upsertPresence(lane: Tx, rows: readonly PresenceRow[]): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into presence (user_key, local, state, status_msg, last_active_ms, told_ms, position)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]),
      unnest(${rows.map((it) => String(it.local))}::text[]) = 'true',
      unnest(${rows.map((it) => it.state)}::text[]), unnest(${rows.map((it) => it.statusMsg ?? null)}::text[]),
      unnest(${rows.map((it) => it.lastActiveMs)}::bigint[]), unnest(${rows.map((it) => it.toldMs)}::bigint[]),
      unnest(${rows.map((it) => it.position)}::bigint[])
    on conflict (user_key) do update set state = excluded.state, status_msg = excluded.status_msg,
      last_active_ms = excluded.last_active_ms, told_ms = excluded.told_ms,
      position = excluded.position`;
}

/** That a user syncs by one process. */
export type SyncRow = {
  readonly userKey: number;
  readonly processId: string;
  readonly state: SyncingState;
};

/** By which processes users sync: those that are there. */
export async function syncsOf(db: Queryable, userKeys: readonly number[]): Promise<SyncRow[]> {
  if (userKeys.length === 0) return [];
  return await db<SyncRow[]>`
    select user_key as "userKey", process_id as "processId", state
    from presence_syncs join processes using (process_id)
    where user_key = any(${userKeys}::bigint[])
      and seen_at > now() - ${ALIVE_SECONDS} * interval '1 second'`;
}

/** Each user and process at most once. */
export async function upsertSyncs(lane: Tx, rows: readonly SyncRow[]): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into presence_syncs (user_key, process_id, state)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]), unnest(${rows.map((it) => it.processId)}::text[]),
      unnest(${rows.map((it) => it.state)}::text[])
    on conflict (user_key, process_id) do update set state = excluded.state`;
}

export async function deleteSyncs(
  lane: Tx,
  keys: readonly Omit<SyncRow, "state">[],
): Promise<void> {
  if (keys.length === 0) return;
  await lane`
    delete from presence_syncs using unnest(${keys.map((it) => it.userKey)}::bigint[],
      ${keys.map((it) => it.processId)}::text[]) as gone (user_key, process_id)
    where presence_syncs.user_key = gone.user_key and presence_syncs.process_id = gone.process_id`;
}

/** Syncs by processes that are gone. */
export async function lostSyncs(db: Queryable, limit: number) {
  return await db<Omit<SyncRow, "state">[]>`
    select user_key as "userKey", process_id as "processId" from presence_syncs
    where not exists (
      select from processes where processes.process_id = presence_syncs.process_id
        and seen_at > now() - ${ALIVE_SECONDS} * interval '1 second')
    limit ${limit}`;
}

/** Users of other servers who are there, as was said before a time and not since. */
export async function unheardUsers(
  db: Queryable,
  before: UnixMs,
  limit: number,
): Promise<number[]> {
  const rows = await db<{ user_key: number }[]>`
    select user_key from presence where not local and state <> 'offline' and told_ms < ${before}
    limit ${limit}`;
  return rows.map((it) => it.user_key);
}

/** @returns how many rows went. */
export async function deleteOffline(db: Queryable, before: UnixMs, limit: number): Promise<number> {
  const gone = await db`
    delete from presence where user_key in (
      select user_key from presence where state = 'offline' and told_ms < ${before} limit ${limit})`;
  return gone.count;
}

/** Those of some users who are joined to one of some rooms. */
export async function usersInRooms(
  db: Queryable,
  userKeys: readonly number[],
  roomKeys: readonly number[],
): Promise<number[]> {
  const rows = await db<{ user_key: number }[]>`
    select user_key from unnest(${userKeys}::bigint[]) as wanted (user_key)
    where exists (
      select from memberships where memberships.user_key = wanted.user_key
        and membership = 'join' and room_key = any(${roomKeys}::bigint[]))`;
  return rows.map((it) => it.user_key);
}

/** Those of some users who share a room with somebody of this server. */
export async function usersWithUs(db: Queryable, userKeys: readonly number[]): Promise<number[]> {
  if (userKeys.length === 0) return [];
  const rows = await db<{ user_key: number }[]>`
    select user_key from unnest(${userKeys}::bigint[]) as wanted (user_key)
    where exists (
      select from memberships as theirs where theirs.user_key = wanted.user_key
        and theirs.membership = 'join' and exists (
          select from memberships as ours where ours.room_key = theirs.room_key
            and ours.local and ours.membership = 'join' offset 0) offset 0)`;
  return rows.map((it) => it.user_key);
}

/** Which of some users are joined to which rooms. */
export async function roomsOfUsers(
  db: Queryable,
  userKeys: readonly number[],
): Promise<{ userKey: number; roomKey: number }[]> {
  return await db<{ userKey: number; roomKey: number }[]>`
    select user_key as "userKey", room_key as "roomKey" from memberships
    where user_key = any(${userKeys}::bigint[]) and membership = 'join'`;
}

/** Those of our users who are joined to one of some rooms. */
export async function ourUsersIn(db: Queryable, roomKeys: readonly number[]): Promise<number[]> {
  const rows = await db<{ user_key: number }[]>`
    select distinct user_key from memberships
    where room_key = any(${roomKeys}::bigint[]) and local and membership = 'join'`;
  return rows.map((it) => it.user_key);
}

/** Those of some rooms to which fewer users are joined than a number. */
export async function roomsWithFewer(
  db: Queryable,
  roomKeys: readonly number[],
  number: number,
): Promise<number[]> {
  const rows = await db<{ room_key: number }[]>`
    select room_key from unnest(${roomKeys}::bigint[]) as wanted (room_key)
    cross join lateral (
      select count(*) as joined from (
        select from memberships
        where memberships.room_key = wanted.room_key and membership = 'join' limit ${number}
      ) as members
    ) as counted
    where joined < ${number}`;
  return rows.map((it) => it.room_key);
}
