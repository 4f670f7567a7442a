import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { rememberRoom, type Room } from "#src/rooms/find-room.ts";
import { statesDenying } from "#src/rooms/server-acls.ts";
import { usersInRooms } from "./queries-edus.ts";

/** A user of another server in a room that is ours too. */
export type JoinedUser = { readonly room: Room; readonly userKey: number };

export type Named = { readonly roomId: RoomId; readonly userId: UserId };

/**
 * Those of some users who are joined to rooms that do not deny their server, by `nameOf`: only of them and
 * there may it say what they do. With one query for all.
 *
 * @spec server-server-api#server-access-control-lists-acls
 */
export async function joinedUsers(
  hs: Homeserver,
  origin: ServerName,
  names: readonly Named[],
): Promise<ReadonlyMap<string, JoinedUser>> {
  if (names.length === 0) return new Map();
  const rows = await usersInRooms(hs.sql, names);
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
