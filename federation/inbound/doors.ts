import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findRoom, findRooms, type Room } from "#src/rooms/find-room.ts";
import { isServerIn } from "#src/rooms/room-servers.ts";
import { statesDenying } from "#src/rooms/server-acls.ts";
import { readDoors } from "./queries-doors.ts";

/** How a server stands before a room. */
export type Door = {
  readonly room: Room;
  /** Whether somebody of this server is in the room: of others nothing is known. */
  readonly isOurs: boolean;
  /** Whether the room's access control list denies the other server. */
  readonly isDenied: boolean;
};

/** The doors of those of some rooms that are known, for another server: with one query for all. */
export async function doorsFor(
  hs: Homeserver,
  server: ServerName,
  roomIds: Iterable<RoomId>,
): Promise<ReadonlyMap<RoomId, Door>> {
  const rooms = new Map(
    [...(await findRooms(hs, roomIds)).values()].map((it) => [it.roomKey, it] as const),
  );
  if (rooms.size === 0) return new Map();
  const rows = await readDoors(hs, [...rooms.keys()]);
  const roots = rows.map((it) => it.state_root);
  const denying = await statesDenying(hs, roots, server);
  return new Map(
    rows.flatMap(({ room_key, state_root, is_ours }) => {
      const room = rooms.get(room_key);
      if (!room) return [];
      return [[room.roomId, { room, isOurs: is_ours, isDenied: denying.has(state_root) }]];
    }),
  );
}

/**
 * The room of a request of another server, which must be in it.
 *
 * @throws MatrixError M_FORBIDDEN if it is not, if the room's access control list denies it, or if there
 *   is no such room: who may not know learns nothing.
 * @spec server-server-api#server-access-control-lists-acls
 */
export async function requireServerIn(
  hs: Homeserver,
  server: ServerName,
  roomId: RoomId,
): Promise<Room> {
  const room = await findRoom(hs, roomId);
  const door = room && (await doorsFor(hs, server, [roomId])).get(roomId);
  if (!room || !door) throw new MatrixError("M_FORBIDDEN", "Your server is not in this room");
  if (door.isDenied) throw new MatrixError("M_FORBIDDEN", "Your server is denied in this room");
  if (!(await isServerIn(hs, room.roomKey, server))) {
    throw new MatrixError("M_FORBIDDEN", "Your server is not in this room");
  }
  return room;
}
