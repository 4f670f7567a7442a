import { setTimeout as sleep } from "node:timers/promises";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { afterOthers } from "#src/kit/after-others.ts";

type Turns = {
  /** By room key, what the last in the queue waits for. */
  readonly queues: Map<number, Promise<unknown>>;
  /** Rooms to which nothing local is sent until what was received has been stored. */
  readonly kept: Map<number, Promise<unknown>>;
};

const turnsOf = held((): Turns => ({ queues: new Map(), kept: new Map() }));

/** Does something with a room's received events when what came before it, in this process, is done. */
export async function inTurn<T>(
  hs: Homeserver,
  roomKey: number,
  work: () => Promise<T>,
): Promise<T> {
  return await afterOthers(turnsOf(hs).queues, roomKey, work);
}

/**
 * Keeps local senders of this process from moving a room's head while what was received is stored. Several may at the same time: what
 * is only named by events is stored in no turn.
 */
export async function keepingStill<T>(
  hs: Homeserver,
  roomKey: number,
  work: () => Promise<T>,
): Promise<T> {
  const { kept } = turnsOf(hs);
  const own = work();
  const all = Promise.allSettled([kept.get(roomKey), own]);
  kept.set(roomKey, all);
  void all.then(() => {
    if (kept.get(roomKey) === all) kept.delete(roomKey);
  });
  return await own;
}

/** How long a sender waits at most: what is worked out of a large room may take longer, and is then tried again. */
const LONGEST_WAIT_MS = 10_000;

/** What whoever sends to a room has to wait for; nothing but where received events were late too often. */
export function turnOfReceived(
  hs: Homeserver,
  roomKey: number,
  mostMs = LONGEST_WAIT_MS,
): Promise<unknown> | undefined {
  const kept = turnsOf(hs).kept.get(roomKey);
  return kept && Promise.race([kept, sleep(mostMs, undefined, { ref: false })]);
}
