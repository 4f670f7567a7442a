import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { membersKnownWithin } from "#src/rooms/partial/partial-rooms.ts";
import { doorsFor } from "../inbound/doors.ts";

/** How long another server waits for what we do not know of a room yet: less than it would wait for an answer. */
const LONGEST_WAIT_MS = 8_000;

/**
 * The room that another server, which need not be in it, wants something of, and which this server must be
 * in. Whether the room lets a user in can be said once all members are known, which is waited for a while.
 *
 * @throws MatrixError M_NOT_FOUND if it is not, or does not know all members yet, so that the other server asks
 *   another; M_FORBIDDEN if the room denies the other server.
 * @spec server-server-api#server-access-control-lists-acls
 */
export async function requireResidentRoom(
  hs: Homeserver,
  server: ServerName,
  roomId: RoomId,
): Promise<Room> {
  const door = (await doorsFor(hs, server, [roomId])).get(roomId);
  if (!door?.isOurs) throw new MatrixError("M_NOT_FOUND", "This server is not in this room");
  if (door.isDenied) throw new MatrixError("M_FORBIDDEN", "Your server is denied in this room");
  if (!(await membersKnownWithin(hs, door.room.roomKey, { waitMs: LONGEST_WAIT_MS }))) {
    throw new MatrixError("M_NOT_FOUND", "This server does not know all of this room yet");
  }
  return door.room;
}
