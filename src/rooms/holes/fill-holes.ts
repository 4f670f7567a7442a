import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { checkPolicy } from "../policy/check-policy.ts";
import { receiveEvents } from "../received/receive-events.ts";
import type { StoredEvent } from "../stored-event.ts";
import { fetchHistory } from "./fetch-history.ts";
import { fetchMissingEvents } from "./fetch-missing-events.ts";
import { claimHoles } from "./queries-holes.ts";
import { serversToAsk } from "./servers-to-ask.ts";
import type { Sources } from "./sources.ts";

/** How many holes of a room are tried at a time, and how often in a row, should more come to light. */
const MOST_HOLES = 50;
const MOST_ROUNDS = 50;

/**
 * Fills holes of a room that came about while this server was in it: takes in events that wait for others,
 * and what is missing before those that do not.
 *
 * @param until gives up. What could not be filled is tried again later.
 */
export async function fillHoles(hs: Homeserver, room: Room, until: AbortSignal): Promise<void> {
  for (let round = 0; round < MOST_ROUNDS && !until.aborted; round++) {
    const claim = { roomKey: room.roomKey, now: hs.now(), most: MOST_HOLES };
    const holes = await claimHoles(hs.sql, claim);
    if (holes.length === 0) return;
    const events = await eventsOf(
      hs,
      holes.map((it) => it.eventKey),
    );
    const sources: Sources = {
      servers: await serversToAsk(hs, room, holes, [...events.values()]),
      remotes: hs.remotes,
      keys: hs.remotes.verifyKeys,
      until,
      // As many rooms as there are may lack something that only one server has, which says nothing.
      sparesAbsent: true,
    };
    await takeInWaiting(hs, room, [...events.values()], sources);
    const placed = holes.filter((it) => it.anchor !== null);
    if (placed.length > 0) await fetchHistory(hs, room, placed, sources);
  }
}

/** Takes in events that are stored and have no place, with what they have waited for. */
async function takeInWaiting(
  hs: Homeserver,
  room: Room,
  events: readonly StoredEvent[],
  sources: Sources,
): Promise<void> {
  const waiting = events.filter((it) => it.anchor === undefined);
  if (waiting.length === 0) return;
  const own = waiting.map((it) => ({ event: it.pdu(room.rules), json: it.json }));
  const fetched = await fetchMissingEvents(hs, room, { events: own, isNews: false }, sources);
  // They have waited for long enough, and others for them.
  const asking = { isOverdue: () => true, ...(sources.until && { until: sources.until }) };
  const checked = await checkPolicy(hs, room, fetched.events, asking);
  await receiveEvents(hs, room, checked, { as: "live", states: fetched.states });
}
