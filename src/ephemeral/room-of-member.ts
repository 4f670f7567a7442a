import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { requireJoined } from "#src/rooms/memberships.ts";
import { userRoomsInMemory } from "#src/rooms/user-rooms.ts";

/**
 * The room of a request about what people do at the moment. Of whoever syncs it is in memory what rooms they are in; what
 * another process has changed is known here a moment later, which is soon enough for who types and who reads.
 *
 * @throws MatrixError M_FORBIDDEN if the requester is not in it, or there is no such room.
 */
export async function roomOfMember(
  hs: Homeserver,
  requester: Requester,
  roomId: RoomId,
): Promise<Room> {
  const room = await findRoom(hs, roomId);
  const rooms = await userRoomsInMemory(hs, requester.userKey);
  if (room && rooms?.get(room.roomKey)?.membership === "join") return room;
  return await requireJoined(hs, requester, roomId);
}
