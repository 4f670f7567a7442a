import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { findRooms, rememberRoom, type Room } from "#src/rooms/find-room.ts";
import { partialRoomsOf } from "#src/rooms/partial/partial-rooms.ts";
import { statesDenying } from "#src/rooms/server-acls.ts";
import { userKeysOf } from "#src/rooms/user-keys.ts";
import { usersInRooms, usersPerhapsInRooms } from "./queries-edus.ts";

/** A user of another server in a room that is ours too. */
export type JoinedUser = { readonly room: Room; readonly userKey: number };

export type Named = { readonly roomId: RoomId; readonly userId: UserId };

/**
 * Those of some users who are joined to rooms that do not deny their server, by `nameOf`: only of them and
 * there may it say what they do. With one query for all.
 *
 * While a room's members are not all known, those of a server that is said to be in it count as joined.
 *
 * @spec server-server-api#server-access-control-lists-acls
 */
export async function joinedUsers(
  hs: Homeserver,
  origin: ServerName,
  names: readonly Named[],
): Promise<ReadonlyMap<string, JoinedUser>> {
  if (names.length === 0) return new Map();
  const certain = await usersInRooms(hs.sql, names);
  const known = new Set(certain.map((it) => nameOf({ roomId: it.room_id, userId: it.user_id })));
  const others = names.filter((it) => !known.has(nameOf(it)));
  const rows = [...certain, ...(await perhapsJoined(hs, origin, others))];
  const denying = await statesDenying(hs, [...new Set(rows.map((it) => it.state_root))], origin);
  const allowed = rows.filter((it) => !denying.has(it.state_root));
  return new Map(
    allowed.map((row) => [
      nameOf({ roomId: row.room_id, userId: row.user_id }),
      { room: rememberRoom(hs, row), userKey: row.user_key },
    ]),
  );
}

/** Neither of the two has a space before the other begins. */
export function nameOf({ roomId, userId }: Named): string {
  return `${userId} ${roomId}`;
}

async function perhapsJoined(hs: Homeserver, origin: ServerName, names: readonly Named[]) {
  const partial = await partialRoomsOf(hs);
  if (partial.size === 0 || names.length === 0) return [];
  const rooms = await findRooms(
    hs,
    names.map((it) => it.roomId),
  );
  const their = names.filter((it) => partial.has(rooms.get(it.roomId)?.roomKey ?? 0));
  if (their.length === 0) return [];
  const userKeys = await userKeysOf(
    hs,
    their.map((it) => it.userId),
  );
  const pairs = their.flatMap(({ roomId, userId }) => {
    const userKey = userKeys.get(userId);
    return userKey === undefined ? [] : [{ roomId, userKey }];
  });
  return await usersPerhapsInRooms(hs.sql, origin, pairs);
}
