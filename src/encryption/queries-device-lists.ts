import type { Queryable } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** From just after one position up to and including another. */
export type Bounds = { readonly after: Position; readonly upTo: Position };

export type OwnRoom = { readonly roomKey: number; readonly joined: boolean };

/** All rooms that have ever spoken of a user. */
export async function roomsOf(sql: Queryable, userKey: number): Promise<OwnRoom[]> {
  return await sql<OwnRoom[]>`
    select room_key as "roomKey", membership = 'join' as joined from memberships
    where user_key = ${userKey}`;
}

/** A member of a room whose member event has changed. */
export type Move = {
  readonly userKey: number;
  readonly roomKey: number;
  readonly joined: boolean;
  readonly eventKey: number;
  /** Whether the state has come to say so later than by the event: once all members of a room were known, say. */
  readonly toldAnew: boolean;
};

/** Whose member events have changed in a range, in all rooms of a user, their own included. */
export async function movesAround(
  sql: Queryable,
  userKey: number,
  { after, upTo }: Bounds,
): Promise<Move[]> {
  return await sql<Move[]>`
    select moved.user_key as "userKey", moved.room_key as "roomKey",
      moved.membership = 'join' as joined, moved.event_key as "eventKey",
      moved.position > moved.event_key as "toldAnew"
    from memberships as moved
    join memberships as own on own.room_key = moved.room_key and own.user_key = ${userKey}
    where moved.position > ${after} and moved.position <= ${upTo}`;
}

/** The rooms of a user, by what has become of them in a range. */
export type RoomsInRange = {
  /** In which they are now. */
  readonly joined: readonly number[];
  /** In which they are now and were all the time. */
  readonly long: readonly number[];
  /** In which they are now and were not all the time. */
  readonly entered: readonly number[];
  /** In which they were before and are not now. */
  readonly left: readonly number[];
};

/** Others who have moved, in the rooms of the one who asks. */
export type OthersMoved = {
  /** Member events of those who are in a room now and were not before. */
  readonly entrances: readonly number[];
  /** Those of whoever has left a room and come back. */
  readonly returns: readonly number[];
  /** Those of whoever was in a room all the time, and has changed them all the same. */
  readonly stays: readonly number[];
  /** Users who have left a room. */
  readonly leavers: readonly number[];
};

/**
 * Whose keys a user must ask for anew: of those with whom they share a room, whoever's have changed in
 * a range, and whoever has not shared one all the time, which they themselves may be; and those whose keys they have
 * signed.
 */
export async function usersChanged(
  sql: Queryable,
  userKey: number,
  { after, upTo, rooms, others }: Bounds & { rooms: RoomsInRange; others: OthersMoved },
): Promise<UserId[]> {
  const moved = [...others.entrances, ...others.returns];
  const newcomersIn = moved.length > 0 ? [...rooms.entered, ...rooms.joined] : rooms.entered;
  const rows = await sql<{ user_id: UserId }[]>`
    with fresh as (
      select user_key from device_lists
      where position > ${after} and position <= ${upTo} and (user_key = ${userKey} or exists (
        select from memberships where memberships.user_key = device_lists.user_key
          and room_key = any(${rooms.joined}::bigint[]) and membership = 'join'))
      union
      select user_key from cross_signing_signatures
      where position > ${after} and position <= ${upTo} and signer_key = ${userKey}
      union
      select user_key from memberships as newcomer
      where membership = 'join' and room_key = any(${newcomersIn}::bigint[])
        and (room_key = any(${rooms.entered}::bigint[]) or event_key = any(${moved}::bigint[]))
        and not exists (
          select from memberships as known where known.user_key = newcomer.user_key
            and known.room_key = any(${rooms.long}::bigint[]) and known.membership = 'join'
            and (known.position <= ${after} or known.event_key = any(${others.stays}::bigint[])))
    )
    select user_id from fresh join users using (user_key)`;
  return rows.map((it) => it.user_id);
}

/** With whom a user shares no room any more, though they did before a range. */
export async function usersLeft(
  sql: Queryable,
  userKey: number,
  { rooms, others }: { rooms: RoomsInRange; others: OthersMoved },
): Promise<UserId[]> {
  const rows = await sql<{ user_id: UserId }[]>`
    with parted as (
      select unnest(${others.leavers}::bigint[]) as user_key
      union
      select user_key from memberships
      where room_key = any(${rooms.left}::bigint[]) and membership = 'join'
        and event_key <> all(${others.entrances}::bigint[])
    )
    select user_id from parted join users using (user_key)
    where user_key <> ${userKey} and not exists (
      select from memberships where memberships.user_key = parted.user_key
        and room_key = any(${rooms.joined}::bigint[]) and membership = 'join')`;
  return rows.map((it) => it.user_id);
}
