import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { userRoomsOf } from "#src/rooms/user-rooms.ts";
import { presenceBookOf } from "./known-presence.ts";
import { contentOf, type PresenceContent } from "./presence.ts";
import { usersSharing } from "./shared-rooms.ts";

/**
 * Whether a user is there, as those who share a room with them may know.
 *
 * @throws MatrixError M_FORBIDDEN if the requester shares no room with them, or there is no such user.
 * @spec client-server-api#get_matrixclientv3presenceuseridstatus
 */
export async function readPresence(
  hs: Homeserver,
  requester: Requester,
  userId: UserId,
): Promise<PresenceContent> {
  const userKey = (await findUserKeys(hs, [userId])).get(userId);
  if (userKey === undefined || !(await maySee(hs, requester, userKey))) {
    throw new MatrixError("M_FORBIDDEN", "You may not see whether this user is there");
  }
  const known = await presenceBookOf(hs).of(userKey);
  return known ? contentOf(known, hs.now()) : { presence: "offline" };
}

async function maySee(hs: Homeserver, requester: Requester, userKey: number): Promise<boolean> {
  if (userKey === requester.userKey) return true;
  const rooms = [...(await userRoomsOf(hs, requester))].filter(
    ([, { membership }]) => membership === "join",
  );
  const roomKeys = new Set(rooms.map(([roomKey]) => roomKey));
  return (await usersSharing(hs, [userKey], roomKeys)).has(userKey);
}
