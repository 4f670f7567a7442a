import { Gauge } from "prom-client";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { TYPING } from "#src/ephemeral/typing-stream.ts";
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
 * For how long it is collected who has read what, who is there and who types, unless something happens that is told at
 * once: where people are, that is most of what happens, and an answer costs more than what is in it.
 */
const COLLECTED_MS = 1_000;
const TYPING_COLLECTED_MS = 500;

/** For how long a user who has not asked again is still told of their rooms' news. */
const IDLE_MS = 120_000;

/** A user who is asking, and the rooms by which they are found. */
type Listener = {
  readonly userId: string;
  rooms: UserRooms;
  readonly wakes: Set<() => void>;
  /** Set while there is something to tell, and it is collected what comes besides. */
  soon: { readonly timer: NodeJS.Timeout; readonly atMs: number } | undefined;
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
      for (const listener of own.byRoom.get(roomKey) ?? []) wakeSoon(listener, COLLECTED_MS);
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
    const timer = setTimeout(done, Math.ceil(waitMs));
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
  for (const change of changes) {
    const { stream, userKey, detail } = change;
    const collectedMs = collectedFor(stream);
    if (userKey !== undefined) wakeSoon(own.byUser.get(userKey), collectedMs);
    for (const listener of listenersInRoom(own, change)) wakeSoon(listener, collectedMs);
    if (stream === EVENTS && detail instanceof StoredEvent && detail.type === "m.room.member") {
      // Whoever is invited is not in the room yet.
      wake(own.byUserId.get(detail.stateKey ?? ""));
    }
  }
}

/** What a user has for themselves in a room, such as a tag or a private receipt, is no news for the others there. */
function listenersInRoom(
  { byRoom }: Registry,
  { stream, roomKey, userKey }: Change,
): Iterable<Listener> {
  const isOwn = userKey !== undefined && stream !== EVENTS;
  return (roomKey === undefined || isOwn ? undefined : byRoom.get(roomKey)) ?? [];
}

function collectedFor(stream: string): number {
  if (stream === RECEIPTS) return COLLECTED_MS;
  return stream === TYPING ? TYPING_COLLECTED_MS : 0;
}

function wake(listener: Listener | undefined): void {
  if (!listener) return;
  clearTimeout(listener.soon?.timer);
  listener.soon = undefined;
  for (const done of listener.wakes) done();
}

/** With what else there will be by then. What is told sooner takes with it what could wait. */
function wakeSoon(listener: Listener | undefined, inMs: number): void {
  if (inMs === 0) wake(listener);
  if (inMs === 0 || !listener || listener.wakes.size === 0) return;
  const atMs = performance.now() + inMs;
  if (listener.soon && listener.soon.atMs <= atMs) return;
  clearTimeout(listener.soon?.timer);
  listener.soon = { atMs, timer: setTimeout(() => wake(listener), inMs).unref() };
}
