import { setTimeout as sleep } from "node:timers/promises";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";

/** How long those are waited for that ask what the same room lacks: it may be something else, and its servers may take their time. */
const MOST_WAITING_MS = 3_000;

/** By room key, the last that asks what the room lacks. */
const turnsOf = held(() => new Map<number, Promise<unknown>>());

/**
 * Takes in events of which it is not known what leads to them once this has been done, in this process, with those that came before
 * them. After an outage all servers in a room send what follows the same gap: it is fetched from one.
 */
export async function afterOthers<T>(
  hs: Homeserver,
  roomKey: number,
  takeIn: () => Promise<T>,
): Promise<T> {
  const turns = turnsOf(hs);
  const before = turns.get(roomKey);
  const own = before ? soonAfter(before, takeIn) : takeIn();
  const ended = own.then(
    () => {},
    () => {},
  );
  turns.set(roomKey, ended);
  try {
    return await own;
  } finally {
    if (turns.get(roomKey) === ended) turns.delete(roomKey);
  }
}

async function soonAfter<T>(before: Promise<unknown>, work: () => Promise<T>): Promise<T> {
  const patience = new AbortController();
  const over = sleep(MOST_WAITING_MS, undefined, { signal: patience.signal }).catch(() => {});
  await Promise.race([before, over]);
  patience.abort();
  return await work();
}
