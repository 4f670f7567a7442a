import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findRoom, type Room } from "./find-room.ts";

export type Membership = "join" | "invite" | "knock" | "leave" | "ban";

/** What a user is in a room by its current state, and the member event that says so. */
export type Standing = {
  readonly membership: Membership;
  readonly eventKey: number;
  /** When the current state came to say so. */
  readonly position: number;
  readonly forgotten: boolean;
};

/** What a user is in a room; undefined if the room's state has never spoken of them. */
export async function standingOf(
  hs: Homeserver,
  userKey: number,
  roomKey: number,
): Promise<Standing | undefined> {
  const [row] = await hs.sql<Standing[]>`
    select membership, event_key as "eventKey", position, forgotten from memberships
    where user_key = ${userKey} and room_key = ${roomKey}`;
  return row;
}

/**
 * What a user is in a room, and the root of its current state: what whoever wants to come in is judged by.
 *
 * @param userKey undefined of one of whom no room here has ever spoken.
 */
export async function standingAndStateRoot(
  hs: Homeserver,
  userKey: number | undefined,
  roomKey: number,
): Promise<{ readonly standing: Standing | undefined; readonly stateRoot: number }> {
  const [row] = await hs.sql<((Standing | { membership: null }) & { stateRoot: number })[]>`
    select state_root as "stateRoot", membership, memberships.event_key as "eventKey",
      memberships.position, forgotten
    from rooms left join memberships
      on memberships.room_key = rooms.room_key and memberships.user_key = ${userKey ?? null}
    where rooms.room_key = ${roomKey}`;
  if (!row) return { standing: undefined, stateRoot: 0 };
  const { stateRoot, ...standing } = row;
  return { standing: standing.membership === null ? undefined : standing, stateRoot };
}

/** What a user is in each of some rooms, by room key. */
export async function standingsOf(
  hs: Homeserver,
  userKey: number,
  roomKeys: readonly number[],
): Promise<Map<number, Standing>> {
  const rows = await hs.sql<(Standing & { roomKey: number })[]>`
    select room_key as "roomKey", membership, event_key as "eventKey", position, forgotten
    from memberships
    where user_key = ${userKey} and room_key = any(${[...new Set(roomKeys)]}::bigint[])`;
  return new Map(rows.map(({ roomKey, ...it }) => [roomKey, it]));
}

/** What a user is in a room; undefined if the room's state has never spoken of them. */
export async function membershipOf(
  hs: Homeserver,
  userKey: number,
  roomKey: number,
): Promise<Membership | undefined> {
  return (await standingOf(hs, userKey, roomKey))?.membership;
}

export type UserRoom = Standing & { readonly roomKey: number };

/** The rooms in which a user has one of some memberships, but for those that they have forgotten. */
export async function roomsOfUser(
  hs: Homeserver,
  userKey: number,
  memberships: readonly Membership[],
): Promise<readonly UserRoom[]> {
  return await hs.sql<UserRoom[]>`
    select room_key as "roomKey", membership, event_key as "eventKey", position, forgotten
    from memberships
    where user_key = ${userKey} and membership = any(${memberships}::text[]) and not forgotten`;
}

/**
 * The rooms that a user has forgotten. No stream tells of that, so where it matters it is asked for, and not
 * taken from what was read before.
 */
export async function forgottenRooms(
  hs: Homeserver,
  userKey: number,
): Promise<ReadonlySet<number>> {
  const rows = await hs.sql<{ roomKey: number }[]>`
    select room_key as "roomKey" from memberships where user_key = ${userKey} and forgotten`;
  return new Set(rows.map((it) => it.roomKey));
}

export type RoomMember = {
  readonly userKey: number;
  readonly userId: UserId;
  readonly membership: Membership;
  readonly eventKey: number;
  readonly local: boolean;
};

/** The users that have one of some memberships in a room. */
export async function membersOfRoom(
  hs: Homeserver,
  roomKey: number,
  memberships: readonly Membership[],
): Promise<readonly RoomMember[]> {
  return await hs.sql<RoomMember[]>`
    select memberships.user_key as "userKey", user_id as "userId", membership,
      event_key as "eventKey", memberships.local
    from memberships join users using (user_key)
    where room_key = ${roomKey} and membership = any(${memberships}::text[])`;
}

/** How many users are joined to rooms and invited to them, by the rooms' keys. */
export async function memberCounts(
  hs: Homeserver,
  roomKeys: readonly number[],
  db: Queryable = hs.sql,
): Promise<Map<number, { joined: number; invited: number }>> {
  const rows = await db<{ room_key: number; joined: number; invited: number }[]>`
    select room_key, count(*) filter (where membership = 'join') as joined,
      count(*) filter (where membership = 'invite') as invited
    from memberships
    where room_key = any(${roomKeys}::bigint[]) and membership in ('join', 'invite')
    group by room_key`;
  return new Map(rows.map((it) => [it.room_key, { joined: it.joined, invited: it.invited }]));
}

/**
 * The room of a request whose sender must be joined to it.
 *
 * @throws MatrixError M_FORBIDDEN, also of a room that does not exist: who may not know learns nothing.
 */
export async function requireJoined(
  hs: Homeserver,
  { userKey }: { readonly userKey: number },
  roomId: RoomId,
): Promise<Room> {
  const room = await findRoom(hs, roomId);
  if (!room || (await membershipOf(hs, userKey, room.roomKey)) !== "join") {
    throw forbidden();
  }
  return room;
}

/**
 * The room of a request whose sender the room's own rules will ask for: without a query for what they
 * look at anyway.
 *
 * @throws MatrixError M_FORBIDDEN of a room that does not exist, as of one that the sender is not in.
 */
export async function requireRoom(hs: Homeserver, roomId: RoomId): Promise<Room> {
  const room = await findRoom(hs, roomId);
  if (!room) throw forbidden();
  return room;
}

/** What is answered to one who is not in a room, also if there is none: who may not know learns nothing. */
export function forbidden(): MatrixError {
  return new MatrixError("M_FORBIDDEN", "You are not joined to this room");
}
