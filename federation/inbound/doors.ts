import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { findRoom, findRooms, type Room } from "#src/rooms/find-room.ts";
import { isServerIn } from "#src/rooms/room-servers.ts";
import { statesDenying } from "#src/rooms/server-acls.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { type DoorRow, readDoors } from "./queries-doors.ts";

/** How a server stands before a room. */
export type Door = {
  readonly room: Room;
  /** Whether somebody of this server is in the room: of others nothing is known. */
  readonly isOurs: boolean;
  /** Whether the room's access control list denies the other server. */
  readonly isDenied: boolean;
};

/** The doors of those of some rooms that are known, for another server. Mostly from memory. */
export async function doorsFor(
  hs: Homeserver,
  server: ServerName,
  roomIds: Iterable<RoomId>,
): Promise<ReadonlyMap<RoomId, Door>> {
  const rooms = [...(await findRooms(hs, roomIds)).values()];
  if (rooms.length === 0) return new Map();
  const states = await doorStates(
    hs,
    rooms.map((it) => it.roomKey),
  );
  const roots = [...states.values()].map((it) => it.state_root);
  const denying = await statesDenying(hs, roots, server);
  return new Map(
    rooms.flatMap((room) => {
      const it = states.get(room.roomKey);
      if (!it) return [];
      return [[room.roomId, { room, isOurs: it.is_ours, isDenied: denying.has(it.state_root) }]];
    }),
  );
}

/** For how many rooms it is kept who may come in. */
const MOST_ROOMS = 50_000;

/** What is known of rooms' doors, until their state may be another, by whatever process. */
const cacheOf = held((hs) => {
  const cache = lru<number, Promise<DoorRow | undefined>>(MOST_ROOMS);
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, roomKey, detail } of changes) {
        if (stream === EVENTS && roomKey !== undefined && !isPlainMessage(detail)) {
          cache.delete(roomKey);
        }
      }
    },
    missed: () => cache.clear(),
  });
  return cache;
});

/** Whether by what has happened a room's state is what it was. */
function isPlainMessage(detail: unknown): boolean {
  return detail instanceof StoredEvent && detail.stateKey === undefined && !detail.amongForks;
}

async function doorStates(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<Map<number, DoorRow>> {
  const cache = cacheOf(hs);
  const unknown = roomKeys.filter((it) => !cache.has(it));
  if (unknown.length > 0) {
    const all = readDoors(hs, unknown);
    // The promises are what is kept: should the state change while they load, they are forgotten with it.
    for (const roomKey of unknown) {
      const loading = all.then((rows) => rows.find((it) => it.room_key === roomKey));
      cache.set(roomKey, loading);
      loading.catch(() => {
        if (cache.peek(roomKey) === loading) cache.delete(roomKey);
      });
    }
  }
  const found = await Promise.all(roomKeys.map(async (it) => await cache.get(it)));
  return new Map(found.flatMap((it) => (it ? [[it.room_key, it] as const] : [])));
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
