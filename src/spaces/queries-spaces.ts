import type { Queryable } from "#src/homeserver/database.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";

type RoomRow = { room_key: number; room_id: RoomId; version: string; state_root: number };

/** Those of some rooms that somebody of this server is in, so that we know how they are. */
export async function roomsHere(sql: Queryable, roomIds: readonly RoomId[]): Promise<RoomRow[]> {
  return await sql<RoomRow[]>`
    select room_key, room_id, version, state_root from rooms
    where room_id = any(${roomIds}::text[]) and exists (
      select from memberships
      where memberships.room_key = rooms.room_key and membership = 'join' and local offset 0)`;
}

/** What a user is in some rooms. */
export async function membershipsIn(
  sql: Queryable,
  userKey: number,
  roomIds: readonly RoomId[],
): Promise<{ room_id: RoomId; membership: string }[]> {
  return await sql<{ room_id: RoomId; membership: string }[]>`
    select room_id, membership from rooms join memberships using (room_key)
    where room_id = any(${roomIds}::text[]) and user_key = ${userKey}`;
}

/** Those of some rooms that users of a server are joined or invited to. */
export async function roomsOfServer(
  sql: Queryable,
  server: ServerName,
  roomIds: readonly RoomId[],
): Promise<{ room_id: RoomId; membership: string }[]> {
  return await sql<{ room_id: RoomId; membership: string }[]>`
    select room_id, membership from rooms
    cross join unnest(array['join', 'invite']) as wanted (membership)
    where room_id = any(${roomIds}::text[]) and exists (
      select from memberships join users using (user_key)
      where memberships.room_key = rooms.room_key and memberships.membership = wanted.membership
        and substring(user_id from position(':' in user_id) + 1) = ${server})`;
}
