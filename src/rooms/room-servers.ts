import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { tailOf } from "#src/streams/tail.ts";
import { EVENTS, ServersMoved } from "./event-changes.ts";
import { type RoomServer, serversOfRooms } from "./queries-room-servers.ts";
import { StoredEvent } from "./stored-event.ts";
import { otherServerOf } from "./user-keys.ts";

/** For how many rooms it is kept which servers are there. */
const MOST_ROOMS = 50_000;

/**
 * Which other servers are in rooms, as this process knows it: read when it is first asked for, and forgotten when
 * servers come or go, by whatever process.
 */
const cacheOf = held((hs) => {
  const cache = lru<number, Promise<readonly RoomServer[]>>(MOST_ROOMS);
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, roomKey, detail } of changes) {
        if (stream !== EVENTS || roomKey === undefined) continue;
        if (detail instanceof ServersMoved || isOfOtherMember(hs, detail)) cache.delete(roomKey);
      }
    },
    missed: () => cache.clear(),
  });
  return cache;
});

function isOfOtherMember(hs: Homeserver, event: unknown): boolean {
  if (!(event instanceof StoredEvent) || event.type !== "m.room.member") return false;
  return event.stateKey !== undefined && otherServerOf(hs, event.stateKey as UserId) !== undefined;
}

/** Something of a room, and where in the streams it is. */
export type Placed = { readonly roomKey: number; readonly position: Position };

/** The servers that are owed any of some things: those that were in the room then. */
export async function serversOwed(
  hs: Homeserver,
  its: readonly Placed[],
): Promise<ReadonlySet<ServerName>> {
  const rooms = await serversOf(
    hs,
    its.map((it) => it.roomKey),
  );
  const owed = new Set<ServerName>();
  for (const { roomKey, position } of its) {
    for (const { serverName, since, until } of rooms.get(roomKey) ?? []) {
      if (since < position && position <= (until ?? position)) owed.add(serverName);
    }
  }
  return owed;
}

/** Whether a server is in a room now. */
export async function isServerIn(
  hs: Homeserver,
  roomKey: number,
  server: ServerName,
): Promise<boolean> {
  const servers = (await serversOf(hs, [roomKey])).get(roomKey) ?? [];
  return servers.some((it) => it.serverName === server && it.until === undefined);
}

/** Those that are or were in rooms, by the rooms' keys: from memory, and of all other rooms in one query. */
async function serversOf(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<Map<number, readonly RoomServer[]>> {
  const cache = cacheOf(hs);
  const known = new Map<number, Promise<readonly RoomServer[]>>();
  const unknown: number[] = [];
  for (const roomKey of new Set(roomKeys)) {
    const servers = cache.get(roomKey);
    if (servers) known.set(roomKey, servers);
    else unknown.push(roomKey);
  }
  if (unknown.length > 0) {
    for (const [roomKey, servers] of load(hs, unknown)) known.set(roomKey, servers);
  }
  const found = await Promise.all(
    [...known].map(async ([roomKey, servers]) => [roomKey, await servers] as const),
  );
  return new Map(found);
}

/** The promises are what is kept: should servers come or go while they load, they are forgotten with it. */
function load(
  hs: Homeserver,
  roomKeys: readonly number[],
): Map<number, Promise<readonly RoomServer[]>> {
  const cache = cacheOf(hs);
  const all = serversOfRooms(hs.sql, roomKeys);
  const loading = new Map(
    roomKeys.map((roomKey) => [roomKey, all.then((rooms) => rooms.get(roomKey) ?? [])]),
  );
  for (const [roomKey, servers] of loading) {
    cache.set(roomKey, servers);
    servers.catch(() => {
      if (cache.peek(roomKey) === servers) cache.delete(roomKey);
    });
  }
  return loading;
}
