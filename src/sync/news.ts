import { Gauge } from "prom-client";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import { listenToPresence } from "#src/presence/presence-listeners.ts";
import { smallRoomsOfUsers } from "#src/presence/small-rooms.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { type UserRooms, userRoomsOf } from "#src/rooms/user-rooms.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";

const waitingGauge = new Gauge({
  name: "archipel_sync_waiting",
  help: "Requests that wait for news.",
  registers: [registry],
});

/**
 * For how long it is collected who has read what and who is there, unless something happens that is told at once: where
 * people are, that is most of what happens, and an answer costs more than what is in it. Typing may be over by then.
 */
const COLLECTED_MS = 400;

/** For how long a user who has not asked again is still told of their rooms' news. */
const IDLE_MS = 120_000;

/** A user who is asking, and the rooms by which they are found. */
type Listener = {
  readonly userId: string;
  rooms: UserRooms;
  readonly wakes: Set<() => void>;
  /** Set while there is something to tell, and it is collected what comes besides. */
  soon: NodeJS.Timeout | undefined;
  askedAtMs: number;
};

type Registry = {
  readonly byUser: Map<number, Listener>;
  readonly byUserId: Map<string, Listener>;
  readonly byRoom: Map<number, Set<Listener>>;
};

const registryOf = held((hs): Registry => {
  const own: Registry = { byUser: new Map(), byUserId: new Map(), byRoom: new Map() };
  tailOf(hs).listen({
    changed: (changes) => wakeConcerned(own, changes),
    missed: () => {
      for (const listener of own.byUser.values()) wake(listener);
    },
  });
  listenToPresence(hs, async (userKeys) => {
    const rooms = await smallRoomsOfUsers(hs, userKeys);
    for (const roomKey of new Set([...rooms.values()].flat())) {
      for (const listener of own.byRoom.get(roomKey) ?? []) wakeSoon(listener);
    }
  });
  const timer = setInterval(() => dropIdle(hs, own), IDLE_MS / 2);
  timer.unref();
  hs.stopping.addEventListener("abort", () => {
    clearInterval(timer);
    for (const listener of own.byUser.values()) wake(listener);
  });
  return own;
});

/**
 * Waits until something may have happened that concerns a user, after a position up to which they
 * know everything.
 *
 * @returns when there may be news, the time is up, the client has gone, or the server stops.
 */
export async function waitForNews(
  hs: Homeserver,
  user: { readonly userKey: number; readonly userId: string },
  { after, waitMs, signal }: { after: Position; waitMs: number; signal: AbortSignal },
): Promise<void> {
  const own = registryOf(hs);
  const rooms = await userRoomsOf(hs, user);
  if (tailOf(hs).position > after || signal.aborted || hs.stopping.aborted) return;
  const listener = register(hs, own, { ...user, rooms });
  await wakened(listener, { waitMs, signal });
}

/**
 * Waits until something may have happened in a room, whoever is in it.
 *
 * @returns when there may be news, the time is up, the client has gone, or the server stops.
 */
export async function waitForNewsOfRoom(
  hs: Homeserver,
  roomKey: number,
  { after, waitMs, signal }: { after: Position; waitMs: number; signal: AbortSignal },
): Promise<void> {
  const { byRoom } = registryOf(hs);
  if (tailOf(hs).position > after || signal.aborted || hs.stopping.aborted) return;
  const listener = newListener("", hs.now());
  listenIn(byRoom, roomKey, listener);
  const stop = () => wake(listener);
  hs.stopping.addEventListener("abort", stop);
  await wakened(listener, { waitMs, signal });
  hs.stopping.removeEventListener("abort", stop);
  stopListeningIn(byRoom, roomKey, listener);
}

const NO_ROOMS: UserRooms = new Map();

function newListener(userId: string, askedAtMs: UnixMs): Listener {
  return { userId, rooms: NO_ROOMS, wakes: new Set(), soon: undefined, askedAtMs };
}

/** Returns when a listener is woken, or need not wait any more. */
async function wakened(
  listener: Listener,
  { waitMs, signal }: { waitMs: number; signal: AbortSignal },
): Promise<void> {
  waitingGauge.inc();
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      listener.wakes.delete(done);
      resolve();
    };
    const timer = setTimeout(done, waitMs);
    signal.addEventListener("abort", done);
    listener.wakes.add(done);
  });
  waitingGauge.dec();
}

function register(
  hs: Homeserver,
  { byUser, byUserId, byRoom }: Registry,
  { userKey, userId, rooms }: { userKey: number; userId: string; rooms: UserRooms },
): Listener {
  let listener = byUser.get(userKey);
  if (!listener) {
    listener = newListener(userId, 0);
    byUser.set(userKey, listener);
    byUserId.set(userId, listener);
  }
  listener.askedAtMs = hs.now();
  if (listener.rooms !== rooms) {
    leaveRooms(byRoom, listener);
    listener.rooms = rooms;
    for (const [roomKey, { membership }] of rooms) {
      if (membership === "join") listenIn(byRoom, roomKey, listener);
    }
  }
  return listener;
}

function listenIn(byRoom: Registry["byRoom"], roomKey: number, listener: Listener): void {
  const others = byRoom.get(roomKey);
  if (others) others.add(listener);
  else byRoom.set(roomKey, new Set([listener]));
}

function stopListeningIn(byRoom: Registry["byRoom"], roomKey: number, listener: Listener): void {
  const others = byRoom.get(roomKey);
  others?.delete(listener);
  if (others?.size === 0) byRoom.delete(roomKey);
}

function leaveRooms(byRoom: Registry["byRoom"], listener: Listener): void {
  for (const roomKey of listener.rooms.keys()) stopListeningIn(byRoom, roomKey, listener);
}

function dropIdle(hs: Homeserver, { byUser, byUserId, byRoom }: Registry): void {
  const oldest = hs.now() - IDLE_MS;
  for (const [userKey, listener] of byUser) {
    if (listener.wakes.size > 0 || listener.askedAtMs > oldest) continue;
    leaveRooms(byRoom, listener);
    byUser.delete(userKey);
    byUserId.delete(listener.userId);
  }
}

function wakeConcerned(own: Registry, changes: readonly Change[]): void {
  for (const { stream, roomKey, userKey, detail } of changes) {
    const tell = stream === RECEIPTS ? wakeSoon : wake;
    if (userKey !== undefined) tell(own.byUser.get(userKey));
    if (roomKey !== undefined) {
      for (const listener of own.byRoom.get(roomKey) ?? []) tell(listener);
    }
    if (stream === EVENTS && detail instanceof StoredEvent && detail.type === "m.room.member") {
      // Whoever is invited is not in the room yet.
      wake(own.byUserId.get(detail.stateKey ?? ""));
    }
  }
}

function wake(listener: Listener | undefined): void {
  if (!listener) return;
  clearTimeout(listener.soon);
  listener.soon = undefined;
  for (const done of listener.wakes) done();
}

/** With what else there will be by then, and at once with anything that does not wait. */
function wakeSoon(listener: Listener | undefined): void {
  if (!listener || listener.wakes.size === 0) return;
  listener.soon ??= setTimeout(() => wake(listener), COLLECTED_MS).unref();
}
