import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { arrayText } from "../queries-persist.ts";
import type { EventRow } from "../stored-event.ts";

/** A local member, by keys, and when they are to be told of their room. */
export type MemberKey = {
  readonly userKey: number;
  readonly roomKey: number;
  readonly eventKey: number;
  readonly position: Position;
};

/**
 * Records that a room's members are to be fetched. Until that is done, the servers that are said to be in the
 * room count as being there: what is said here is owed to them.
 */
export function beginPartial(
  lane: Tx,
  it: {
    readonly roomKey: number;
    readonly joinId: EventId;
    readonly servers: readonly ServerName[];
    readonly position: Position;
    readonly dueMs: UnixMs;
  },
): void {
  void lane`
    with noted as (
      insert into partial_rooms (room_key, join_id, servers, due_ms)
      values (${it.roomKey}, ${it.joinId}, ${it.servers}::text[], ${it.dueMs})
      on conflict (room_key) do update set join_id = excluded.join_id, servers = excluded.servers,
        failures = 0, due_ms = excluded.due_ms
    ), marked as (
      update rooms set is_partial = true where room_key = ${it.roomKey}
    )
    insert into room_servers (room_key, server_name, since, joined)
    select ${it.roomKey}, server, ${it.position}, 0 from unnest(${it.servers}::text[]) as server
    on conflict do nothing`;
}

/**
 * Records that nothing is to be fetched any more: we have come to the room anew and know all of it. Servers that
 * were only said to be in it are there if they have members.
 */
export function forgetPartial(lane: Tx, roomKey: number, position: Position): void {
  void lane`
    with gone as (
      delete from partial_rooms where room_key = ${roomKey}
    ), absent as (
      update room_servers set until = ${position}
      where room_key = ${roomKey} and until is null and joined <= 0
    )
    update rooms set is_partial = false where room_key = ${roomKey} and is_partial`;
}

/**
 * Records that all members of a room are known, after these have been stored.
 *
 * @returns the local members, who are to be told of the room anew.
 */
export async function makeWhole(
  lane: Tx,
  roomKey: number,
  position: Position,
): Promise<readonly MemberKey[]> {
  return await lane<MemberKey[]>`
    with gone as (
      delete from partial_rooms where room_key = ${roomKey}
    ), marked as (
      update rooms set is_partial = false where room_key = ${roomKey}
    ), absent as (
      update room_servers set until = ${position}
      where room_key = ${roomKey} and until is null and joined <= 0
    )
    update memberships set position = ${position}
    where room_key = ${roomKey} and local and membership = 'join'
    returning user_key as "userKey", room_key as "roomKey", event_key as "eventKey", position`;
}

/**
 * Stores what events have become that were judged again. Those that go by when events became part of the room, or no longer are,
 * find the ones of which that is news.
 *
 * @param positions when, for each.
 */
export function restateEvents(
  lane: Tx,
  rows: readonly EventRow[],
  positions: readonly Position[],
): void {
  const column = <K extends keyof EventRow>(name: K) => rows.map((row) => row[name]);
  void lane`
    update events set status = again.status, state_before = again.state_before,
      state_after = again.state_after, room_state = again.room_state, replaces = again.replaces,
      auth_keys = again.auth_keys::bigint[], on_partial = null,
      placed_at = case when events.status <> again.status then again.placed_at else events.placed_at end
    from unnest(${column("event_key")}::bigint[], ${column("status")}::smallint[],
      ${column("state_before")}::bigint[], ${column("state_after")}::bigint[],
      ${column("room_state")}::bigint[], ${column("replaces")}::bigint[],
      ${rows.map((row) => row.auth_keys && arrayText(row.auth_keys))}::text[], ${positions}::bigint[])
      as again (event_key, status, state_before, state_after, room_state, replaces, auth_keys,
        placed_at)
    where events.event_key = again.event_key`;
}

/** The keys of all that has got its place since a join by which we came to a room, in the room's order. */
export async function keysSinceJoin(
  db: Queryable,
  roomKey: number,
  joinId: EventId,
): Promise<readonly number[]> {
  const rows = await db<{ event_key: number }[]>`
    select events.event_key from events join events as own on own.event_id = ${joinId}
    where events.room_key = ${roomKey} and events.on_partial and events.anchor >= own.anchor
    order by events.anchor, events.anchor_offset`;
  return rows.map((it) => it.event_key);
}

/** What is to be fetched of a room. */
export type PartialRow = {
  readonly roomKey: number;
  readonly joinId: EventId;
  readonly servers: readonly ServerName[];
  readonly failures: number;
};

/** How long whoever has taken a room in hand is left alone with it, without saying so again. */
const LEASE_MS = 10_000;

/** The rooms whose members are due to be fetched, the first so many. */
export async function duePartialRooms(
  db: Queryable,
  now: UnixMs,
  most: number,
): Promise<readonly number[]> {
  const rows = await db<{ room_key: number }[]>`
    select room_key from partial_rooms where due_ms <= ${now} order by due_ms limit ${most}`;
  return rows.map((it) => it.room_key);
}

/** Takes a room in hand whose members are due to be fetched: nobody else tries for a while. @returns undefined if they are not. */
export async function claimPartial(
  db: Queryable,
  roomKey: number,
  now: UnixMs,
): Promise<PartialRow | undefined> {
  const [row] = await db<PartialRow[]>`
    update partial_rooms set due_ms = ${now + LEASE_MS}
    where room_key = ${roomKey} and due_ms <= ${now}
    returning room_key as "roomKey", join_id as "joinId", servers, failures`;
  return row;
}

export async function renewPartial(db: Queryable, roomKey: number, now: UnixMs): Promise<void> {
  await db`
    update partial_rooms set due_ms = ${now + LEASE_MS}
    where room_key = ${roomKey} and due_ms < ${now + LEASE_MS}`;
}

/** Lets others have a room that was taken in hand. */
export async function handBackPartial(db: Queryable, roomKey: number, now: UnixMs): Promise<void> {
  await db`update partial_rooms set due_ms = ${now} where room_key = ${roomKey}`;
}

/** Forgets what was to be fetched of a room that nobody here is in any more, unless we have just come to it again. */
export async function abandonPartial(
  db: Queryable,
  roomKey: number,
  joinId: EventId,
): Promise<void> {
  await db`
    with gone as (
      delete from partial_rooms where room_key = ${roomKey} and join_id = ${joinId} returning room_key
    )
    update rooms set is_partial = false, head_version = head_version + 1
    from gone where rooms.room_key = gone.room_key and is_partial`;
}

/** Puts off a room whose members nobody could tell. */
export async function putOffPartial(db: Queryable, roomKey: number, dueMs: UnixMs): Promise<void> {
  await db`
    update partial_rooms set failures = failures + 1, due_ms = ${dueMs} where room_key = ${roomKey}`;
}

export async function partialRoomKeys(db: Queryable): Promise<readonly number[]> {
  const rows = await db<{ room_key: number }[]>`select room_key from partial_rooms`;
  return rows.map((it) => it.room_key);
}

/** The join by which we have come to a room whose members are not all known. */
export async function partialSince(db: Queryable, roomKey: number): Promise<EventId | undefined> {
  const [row] = await db<{ join_id: EventId }[]>`
    select join_id from partial_rooms where room_key = ${roomKey}`;
  return row?.join_id;
}
