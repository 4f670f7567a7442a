import type { LRUCache } from "lru-cache";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { EVENTS, MemberMoved } from "./event-changes.ts";
import { roomsByKeys } from "./find-room.ts";
import type { Standing } from "./memberships.ts";
import { StoredEvent } from "./stored-event.ts";

/** What a user is in every room that has ever spoken of them, by room key. */
export type UserRooms = ReadonlyMap<number, Standing>;

type Cache = {
  readonly rooms: LRUCache<number, Promise<UserRooms>>;
  /** User keys by user IDs, of those whose rooms are in memory. */
  readonly users: Map<string, number>;
};

const cacheOf = held((hs): Cache => {
  const users = new Map<string, number>();
  const cache: Cache = { users, rooms: lru(10_000) };
  tailOf(hs).listen({
    changed: (changes) => {
      for (const change of changes) forgetMember(cache, change);
    },
    missed: () => {
      cache.rooms.clear();
      users.clear();
    },
  });
  return cache;
});

function forgetMember({ rooms, users }: Cache, { stream, detail }: Change): void {
  if (stream === EVENTS && detail instanceof MemberMoved) {
    rooms.delete(detail.userKey);
    return;
  }
  if (stream !== EVENTS || !(detail instanceof StoredEvent)) return;
  if (detail.type !== "m.room.member" || detail.stateKey === undefined) return;
  const userKey = users.get(detail.stateKey);
  if (userKey === undefined) return;
  users.delete(detail.stateKey);
  rooms.delete(userKey);
}

/** The rooms of a user, from memory where nothing has changed since they were asked for last. */
export async function userRoomsOf(
  hs: Homeserver,
  { userKey, userId }: { readonly userKey: number; readonly userId: string },
): Promise<UserRooms> {
  const cache = cacheOf(hs);
  const known = cache.rooms.get(userKey);
  if (known) return await known;
  // Known from before the query is made: a change that comes while it runs makes it be asked again.
  cache.users.set(userId, userKey);
  const read = readRooms(hs, userKey);
  cache.rooms.set(userKey, read);
  try {
    return await read;
  } catch (error) {
    cache.rooms.delete(userKey);
    throw error;
  }
}

/** The rooms of a user, if they are in memory. */
export async function userRoomsInMemory(
  hs: Homeserver,
  userKey: number,
): Promise<UserRooms | undefined> {
  return await cacheOf(hs).rooms.get(userKey);
}

/** How often a user's rooms are read again, should they change all the while. */
const MOST_READS = 20;

/**
 * A user's rooms together with the position up to which they are true: neither has anything happened
 * to them up to it that they do not show, nor do they show what happened after it.
 */
export async function userRoomsAt(
  hs: Homeserver,
  user: { readonly userKey: number; readonly userId: string },
): Promise<{ rooms: UserRooms; upTo: Position }> {
  for (let reads = 0; ; reads++) {
    const rooms = await userRoomsOf(hs, user);
    const upTo = tailOf(hs).position;
    const isCurrent = (await cacheOf(hs).rooms.peek(user.userKey)) === rooms;
    if (reads === MOST_READS) return { rooms, upTo };
    if (!isCurrent || tailOf(hs).position !== upTo) continue;
    if (newestOf(rooms) <= upTo) return { rooms, upTo };
    // Read from the database before this process has heard of it.
    await tailOf(hs).catchUp();
  }
}

const newest = new WeakMap<UserRooms, Position>();

function newestOf(rooms: UserRooms): Position {
  let position = newest.get(rooms);
  if (position === undefined) {
    position = 0;
    for (const it of rooms.values()) position = Math.max(position, it.position);
    newest.set(rooms, position);
  }
  return position;
}

const ids = new WeakMap<UserRooms, Promise<ReadonlyMap<number, RoomId>>>();

/** The IDs of a user's rooms, by their keys. */
export async function roomIdsOf(
  hs: Homeserver,
  rooms: UserRooms,
): Promise<ReadonlyMap<number, RoomId>> {
  let found = ids.get(rooms);
  if (!found) {
    found = roomsByKeys(hs, rooms.keys()).then(
      (its) => new Map([...its].map(([key, room]) => [key, room.roomId])),
    );
    ids.set(rooms, found);
    found.catch(() => ids.delete(rooms));
  }
  return await found;
}

async function readRooms(hs: Homeserver, userKey: number): Promise<UserRooms> {
  const rows = await hs.sql<(Standing & { roomKey: number })[]>`
    select room_key as "roomKey", membership, event_key as "eventKey", position, forgotten
    from memberships where user_key = ${userKey}`;
  return new Map(rows.map(({ roomKey, ...standing }) => [roomKey, standing]));
}
