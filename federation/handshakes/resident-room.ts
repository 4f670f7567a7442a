import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { isResident } from "#src/rooms/residents.ts";

/**
 * The room that another server wants something of, which this server must be in.
 *
 * @throws MatrixError M_NOT_FOUND if it is not.
 */
export async function requireResidentRoom(hs: Homeserver, roomId: RoomId): Promise<Room> {
  const room = await findRoom(hs, roomId);
  if (!room || !(await isResident(hs.sql, room.roomKey))) {
    throw new MatrixError("M_NOT_FOUND", "This server is not in this room");
  }
  return room;
}
