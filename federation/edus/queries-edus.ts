import type { Queryable } from "#src/homeserver/database.ts";
import type { RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";

type Row = {
  room_key: number;
  room_id: RoomId;
  version: string;
  state_root: number;
  user_key: number;
  user_id: UserId;
};

/** Those of some pairs of a room and a user in which the user is joined to the room. */
export async function usersInRooms(
  sql: Queryable,
  pairs: readonly { readonly roomId: RoomId; readonly userId: UserId }[],
): Promise<Row[]> {
  return await sql<Row[]>`
    select distinct room_key, room_id, version, state_root, user_key, user_id
    from unnest(${pairs.map((it) => it.roomId)}::text[], ${pairs.map((it) => it.userId)}::text[])
      as named (room_id, user_id)
    join rooms using (room_id) join users using (user_id) join memberships using (room_key, user_key)
    where membership = 'join'`;
}

/**
 * Those of some pairs of a room and a user of a server in which the room's members are not all known yet, nothing
 * is known of the user, and the server is said to be in the room.
 */
export async function usersPerhapsInRooms(
  sql: Queryable,
  server: ServerName,
  pairs: readonly { readonly roomId: RoomId; readonly userKey: number }[],
): Promise<Row[]> {
  return await sql<Row[]>`
    select distinct room_key, room_id, version, state_root, user_key, user_id
    from unnest(${pairs.map((it) => it.roomId)}::text[], ${pairs.map((it) => it.userKey)}::bigint[])
      as named (room_id, user_key)
    join rooms using (room_id) join users using (user_key)
    join room_servers using (room_key)
    where is_partial and server_name = ${server} and until is null and not exists (
      select from memberships where memberships.room_key = rooms.room_key
        and memberships.user_key = users.user_key)`;
}
