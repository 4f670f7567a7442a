import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { afterOthers } from "#src/kit/after-others.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { entriesUnderWay, type Entry, endEntry, mayEnter, renewEntry } from "./queries-entries.ts";

/** For how long nobody else enters a room, should this process end meanwhile, and how often it says that it is at it. */
const LEASE_MS = 20_000;
const RENEW_MS = 5_000;

/** How often it is looked whether another process is done. */
const LOOK_MS = 100;

/** The last of those of this process who want to enter a room from outside. */
const lastOf = held(() => new Map<RoomId, Promise<unknown>>());

/**
 * Has only one user at a time enter a room from outside, or ask to, in whatever process: whoever is first brings the room
 * here for the others.
 */
export async function oneByOne(
  hs: Homeserver,
  roomId: RoomId,
  enter: () => Promise<void>,
): Promise<void> {
  const own = async () => {
    const entry = { roomId, holder: randomUUID() };
    // When other processes let us, or do not say any more that they are at it.
    while (!(await mayEnter(hs.sql, entry, LEASE_MS))) {
      await sleep(LOOK_MS, undefined, { signal: hs.stopping });
    }
    await alone(hs, entry, enter);
  };
  await afterOthers(lastOf(hs), roomId, own);
}

/**
 * Does something about a room that nobody is entering from outside, in whatever process. Who wants to do so meanwhile
 * waits for it.
 *
 * @returns false if somebody is entering it: then it is not done.
 */
export async function unlessEntered(
  hs: Homeserver,
  roomId: RoomId,
  act: () => Promise<void>,
): Promise<boolean> {
  const entry = { roomId, holder: randomUUID() };
  if (!(await mayEnter(hs.sql, entry, LEASE_MS))) return false;
  await alone(hs, entry, act);
  return true;
}

/** Says, as long as it takes, that we are at it. */
async function alone(hs: Homeserver, entry: Entry, act: () => Promise<void>): Promise<void> {
  const renewal = setInterval(() => {
    // Should it fail, somebody else may enter at the same time, which does no harm.
    renewEntry(hs.sql, entry, LEASE_MS).catch(() => {});
  }, RENEW_MS);
  try {
    await act();
  } finally {
    clearInterval(renewal);
    await endEntry(hs.sql, entry);
  }
}

/**
 * Waits until nobody, in whatever process, is entering any of some rooms from outside, but no longer than a time.
 *
 * @returns whether anybody was.
 */
export async function entriesOver(
  hs: Homeserver,
  roomIds: readonly RoomId[],
  waitMs: number,
): Promise<boolean> {
  if (roomIds.length === 0) return false;
  const until = performance.now() + waitMs;
  for (let looks = 0; ; looks++) {
    const own = roomIds.some((it) => lastOf(hs).has(it));
    if (!own && !(await entriesUnderWay(hs.sql, roomIds))) return looks > 0;
    if (performance.now() > until || hs.stopping.aborted) return true;
    await sleep(LOOK_MS, undefined, { ref: false });
  }
}
