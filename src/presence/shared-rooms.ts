import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import { userRoomsOf } from "#src/rooms/user-rooms.ts";
import { usersInRooms } from "./queries-presence.ts";

/** Of more users than this it is asked at once with whom a room is shared, rather than of each from memory. */
const FEW = 20;

/**
 * Those of some users who are in one of some rooms: only they share their presence with who is there.
 *
 * @param roomKeys rooms of the one who asks.
 */
export async function usersSharing(
  hs: Homeserver,
  userKeys: readonly number[],
  roomKeys: ReadonlySet<number>,
): Promise<ReadonlySet<number>> {
  if (userKeys.length === 0 || roomKeys.size === 0) return new Set();
  if (userKeys.length > FEW) {
    return new Set(await usersInRooms(hs.sql, userKeys, [...roomKeys.keys()]));
  }
  const userIds = await userIdsOf(hs, userKeys);
  const sharing = new Set<number>();
  for (const [userKey, userId] of userIds) {
    for (const [roomKey, { membership }] of await userRoomsOf(hs, { userKey, userId })) {
      if (membership !== "join" || !roomKeys.has(roomKey)) continue;
      sharing.add(userKey);
      break;
    }
  }
  return sharing;
}
