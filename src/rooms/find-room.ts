import type { LRUCache } from "lru-cache";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { tailOf } from "#src/streams/tail.ts";

/** A room, by both its names. None of this ever changes once somebody of this server has been in it. */
export type Room = {
  readonly roomKey: number;
  readonly roomId: RoomId;
  readonly rules: RoomVersionRules;
};

type Cache = {
  readonly byId: LRUCache<RoomId, Room>;
  readonly byKey: LRUCache<number, Room>;
  /** Those of which we know by hearsay alone: of which version they are may turn out. */
  readonly outside: LRUCache<number, RoomId>;
};
type Row = { room_key: number; room_id: RoomId; version: string };
type FoundRow = Row & { is_outside: boolean };

const cacheOf = held((hs): Cache => {
  const cache: Cache = { byId: lru(50_000), byKey: lru(50_000), outside: lru(50_000) };
  tailOf(hs).listen({
    changed(changes) {
      if (cache.outside.size === 0) return;
      for (const { roomKey } of changes) if (roomKey !== undefined) forgetOutside(cache, roomKey);
    },
    missed() {
      for (const roomKey of cache.outside.keys().toArray()) forgetOutside(cache, roomKey);
    },
  });
  return cache;
});

function forgetOutside({ byId, byKey, outside }: Cache, roomKey: number): void {
  const roomId = outside.get(roomKey);
  if (roomId === undefined) return;
  outside.delete(roomKey);
  byId.delete(roomId);
  byKey.delete(roomKey);
}

/** Has a room that nobody of this server has been in looked up again, since its version has turned out to be another. */
export function forgetOutsideRoom(hs: Homeserver, { roomKey }: Room): void {
  forgetOutside(cacheOf(hs), roomKey);
}

/** A room that some event of ours is in. */
export async function findRoom(hs: Homeserver, roomId: RoomId): Promise<Room | undefined> {
  return (await findRooms(hs, [roomId])).get(roomId);
}

/** Those of some rooms that events of ours are in, by their IDs. */
export async function findRooms(
  hs: Homeserver,
  roomIds: Iterable<RoomId>,
): Promise<Map<RoomId, Room>> {
  const { byId } = cacheOf(hs);
  const found = new Map<RoomId, Room>();
  const unknown: RoomId[] = [];
  for (const id of new Set(roomIds)) {
    const room = byId.get(id);
    if (room) found.set(id, room);
    else unknown.push(id);
  }
  if (unknown.length > 0) {
    const rows = await hs.sql<FoundRow[]>`
      select room_key, room_id, version, state_root = 0 as is_outside from rooms
      where room_id = any(${unknown}::text[])`;
    for (const row of rows) found.set(row.room_id, rememberFound(hs, row));
  }
  return found;
}

/** The rooms that keys stand for. */
export async function roomsByKeys(
  hs: Homeserver,
  roomKeys: Iterable<number>,
): Promise<Map<number, Room>> {
  const { byKey } = cacheOf(hs);
  const found = new Map<number, Room>();
  const unknown: number[] = [];
  for (const key of new Set(roomKeys)) {
    const room = byKey.get(key);
    if (room) found.set(key, room);
    else unknown.push(key);
  }
  if (unknown.length > 0) {
    const rows = await hs.sql<FoundRow[]>`
      select room_key, room_id, version, state_root = 0 as is_outside from rooms
      where room_key = any(${unknown}::bigint[])`;
    for (const row of rows) found.set(row.room_key, rememberFound(hs, row));
  }
  return found;
}

function rememberFound(hs: Homeserver, { is_outside, ...row }: FoundRow): Room {
  if (is_outside) cacheOf(hs).outside.set(row.room_key, row.room_id);
  return rememberRoom(hs, row);
}

/** Puts the row of a room that somebody of this server has been in into memory. */
export function rememberRoom(hs: Homeserver, row: Row): Room {
  const rules = ROOM_VERSIONS.get(row.version);
  if (!rules) throw new Error(`a stored room has the unknown version ${row.version}`);
  const room = { roomKey: row.room_key, roomId: row.room_id, rules };
  cacheOf(hs).byId.set(room.roomId, room);
  cacheOf(hs).byKey.set(room.roomKey, room);
  return room;
}
