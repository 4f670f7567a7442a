import type { Pdu } from "#src/events/pdu.ts";
import type { AnswerMemory } from "#src/homeserver/ask-options.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { MOST_SERVERS, optionsOf, type Sources } from "./sources.ts";
import { onlyPredecessor, rawEventFrom, storedEvent, withEvent } from "./state-after.ts";
import { storeGiven } from "./store-given.ts";

/** If more events of a state than this are unknown, all of it is asked for. */
const MOST_SINGLE_EVENTS = 50;

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
  const { servers, remotes } = sources;
  const question = { roomId: room.roomId, eventId };
  const options = optionsOf(sources);
  for (const server of servers.slice(0, MOST_SERVERS)) {
    const answer = await remotes.getRoomStateIds(server, question, options);
    if (!answer.ok) continue;
    const { pdu_ids, auth_chain_ids } = answer.body;
    const wanted = [...new Set([...auth_chain_ids, ...pdu_ids])];
    const known = await findEvents(hs, wanted);
    const unknown = wanted.filter((id) => !known.has(id));
    const ask = async (memory: AnswerMemory) =>
      unknown.length > MOST_SINGLE_EVENTS
        ? await wholeState(server, memory)
        : await singleEvents(server, unknown);
    await storeGiven(hs, room, ask, { ...sources, servers: [server] });
    const stored = await findEvents(hs, pdu_ids);
    const isWhole = pdu_ids.every((id) => stored.has(id));
    if (isWhole && stored.values().some((it) => it.type === "m.room.create")) return pdu_ids;
  }
  return undefined;

  async function wholeState(server: ServerName, memory: AnswerMemory): Promise<readonly unknown[]> {
    const answer = await remotes.getRoomState(server, question, { ...options, memory });
    return answer.ok ? [...answer.body.auth_chain, ...answer.body.pdus] : [];
  }

  async function singleEvents(server: ServerName, ids: readonly EventId[]) {
    const answers = await Promise.all(
      ids.map(async (id) => await remotes.getEvent(server, { eventId: id }, options)),
    );
    return answers.flatMap((it) => (it.ok ? it.body.pdus : []));
  }
}
