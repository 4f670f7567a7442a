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

/** What is being fetched, by the event that it comes before. */
const underWay = held(() => new Map<number, Promise<boolean>>());

/**
 * Asks other servers for what comes before an event that stands just after a hole, unless that was in vain
 * a moment ago.
 *
 * @param until gives up.
 * @returns whether anything has come.
 */
export async function fetchPast(
  hs: Homeserver,
  room: Room,
  eventKey: number,
  until: AbortSignal,
): Promise<boolean> {
  const fetches = underWay(hs);
  const same = fetches.get(eventKey);
  if (same) return await same;
  const own = fetchOnce(hs, room, eventKey, until).finally(() => fetches.delete(eventKey));
  fetches.set(eventKey, own);
  return await own;
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
