import { unwantedInvitations } from "#src/account-data/unwanted-invitations.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Owner } from "#src/push-rules/stored-push-rules.ts";
import { roomIdsOf, type UserRooms, userRoomsOf } from "#src/rooms/user-rooms.ts";
import { unreadCounts } from "./unread-counts.ts";

/** How much a user has not read in all of their rooms together; each invitation is one. */
export async function unreadTotal(hs: Homeserver, owner: Owner): Promise<number> {
  const rooms = await userRoomsOf(hs, owner);
  const ids = await roomIdsOf(hs, rooms);
  const joined = new Map<number, RoomId>();
  for (const [roomKey, { membership }] of rooms) {
    const roomId = membership === "join" ? ids.get(roomKey) : undefined;
    if (roomId !== undefined) joined.set(roomKey, roomId);
  }
  let total = await countInvites(hs, owner, rooms);
  for (const threads of (await unreadCounts(hs, owner, joined)).values()) {
    for (const { notify } of threads.values()) total += notify;
  }
  return total;
}

async function countInvites(hs: Homeserver, owner: Owner, rooms: UserRooms): Promise<number> {
  const invited = [...rooms.values()].filter((it) => it.membership === "invite");
  const keys = invited.map((it) => it.eventKey);
  return keys.length - (await unwantedInvitations(hs, owner.userKey, keys)).size;
}
