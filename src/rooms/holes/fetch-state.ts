import type { Pdu } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { MOST_SERVERS, type Sources } from "./sources.ts";
import { onlyPredecessor, rawEventFrom, storedEvent, withEvent } from "./state-after.ts";
import { stateFrom } from "./state-from.ts";

/**
 * Asks for the state before an event of which it is not known what leads to it: for that before the event that it
 * follows, which is asked for too, where that can be had.
 *
 * @returns the IDs of its events; undefined if nobody could give it whole.
 */
export async function fetchStateBefore(
  hs: Homeserver,
  room: Room,
  event: Pdu,
  sources: Sources,
): Promise<readonly EventId[] | undefined> {
  const last = onlyPredecessor(event);
  for (const server of sources.servers.slice(0, MOST_SERVERS)) {
    const only = { ...sources, servers: [server] };
    const pdu = last && (await rawEventFrom(hs, { eventId: last, server }, sources));
    const state = await fetchState(hs, room, pdu ? last : event.event_id, only);
    if (!state) continue;
    if (!pdu) return state;
    // What authorises it is known only with the state.
    const before = await storedEvent(hs, room, { eventId: last, pdu }, sources);
    if (before) return await withEvent(hs, state, before);
  }
  return undefined;
}

/**
 * Asks for the state before an event, as another server has it. Its events are stored.
 *
 * @returns the IDs of its events; undefined if nobody could give it whole.
 */
export async function fetchState(
  hs: Homeserver,
  room: Room,
  eventId: EventId,
  sources: Sources,
): Promise<readonly EventId[] | undefined> {
  for (const server of sources.servers.slice(0, MOST_SERVERS)) {
    const given = await stateFrom(hs, room, { eventId, server }, sources);
    if (!given) continue;
    const stored = await findEvents(hs, given);
    const isWhole = given.every((id) => stored.has(id));
    if (isWhole && stored.values().some((it) => it.type === "m.room.create")) return given;
  }
  return undefined;
}
