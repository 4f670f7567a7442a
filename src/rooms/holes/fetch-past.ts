import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { fetchHistory } from "./fetch-history.ts";
import { claimHoles } from "./queries-holes.ts";
import { serversToAsk } from "./servers-to-ask.ts";

/** How long one server may take for one answer while somebody waits. */
const TIMEOUT_MS = 5_000;

/** More than an event can lack: it names no more. */
const MOST_HOLES = 50;

/** How long other servers are asked for what comes before one event, whether or not somebody still waits for it. */
const MOST_MS = 10_000;

/** What is being fetched, by the event that it comes before. */
const underWay = held(() => new Map<number, Promise<boolean>>());

/**
 * Asks other servers for what comes before an event that stands just after a hole, unless that was in vain
 * a moment ago. What comes too late for whoever asks is there for the next one.
 *
 * @param until gives up waiting.
 * @returns whether anything has come.
 */
export async function fetchPast(
  hs: Homeserver,
  room: Room,
  eventKey: number,
  until: AbortSignal,
): Promise<boolean> {
  if (until.aborted) return false;
  const fetches = underWay(hs);
  const fetch = fetches.get(eventKey) ?? begin(hs, room, eventKey);
  const tooLate = new Promise<boolean>((resolve) => {
    until.addEventListener("abort", () => resolve(false), { once: true });
  });
  return await Promise.race([fetch, tooLate]);
}

async function begin(hs: Homeserver, room: Room, eventKey: number): Promise<boolean> {
  const until = AbortSignal.any([hs.stopping, AbortSignal.timeout(MOST_MS)]);
  const fetch = fetchOnce(hs, room, eventKey, until)
    .catch((error: unknown) => {
      // Who reads gets what is here.
      hs.log.warn({ err: error, roomId: room.roomId }, "cannot fetch what a room lacks");
      return false;
    })
    .finally(() => underWay(hs).delete(eventKey));
  underWay(hs).set(eventKey, fetch);
  return await fetch;
}

async function fetchOnce(
  hs: Homeserver,
  room: Room,
  eventKey: number,
  until: AbortSignal,
): Promise<boolean> {
  const claim = { roomKey: room.roomKey, now: hs.now(), most: MOST_HOLES, of: [eventKey] };
  const holes = await claimHoles(hs.sql, claim);
  if (holes.length === 0) return false;
  const events = [...(await eventsOf(hs, [eventKey])).values()];
  return await fetchHistory(hs, room, holes, {
    servers: await serversToAsk(hs, room, holes, events),
    remotes: hs.remotes,
    keys: hs.remotes.verifyKeys,
    until,
    timeoutMs: TIMEOUT_MS,
  });
}
