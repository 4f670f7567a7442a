import { withAnswerMemory } from "#src/homeserver/answer-memory.ts";
import type { AnswerMemory } from "#src/homeserver/ask-options.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { fetchAuthEvents } from "./fetch-auth-events.ts";
import { optionsOf, type Sources } from "./sources.ts";

/** If more events of a state than this are unknown, all of it is asked for at once. */
const MOST_SINGLE_EVENTS = 50;

/** What a server is asked for: the state before an event. */
type Asked = { readonly eventId: EventId; readonly server: ServerName };

/**
 * Asks a server for the state before an event. Its events are stored, as far as that server gives them and they are good.
 *
 * @returns the IDs of its events; undefined if the server does not say.
 * @spec server-server-api#get_matrixfederationv1state_idsroomid
 */
export async function stateFrom(
  hs: Homeserver,
  room: Room,
  { eventId, server }: Asked,
  sources: Omit<Sources, "servers">,
): Promise<readonly EventId[] | undefined> {
  const { remotes } = sources;
  const question = { roomId: room.roomId, eventId };
  const options = optionsOf(sources);
  const answer = await remotes.getRoomStateIds(server, question, options);
  if (!answer.ok) return undefined;
  const { pdu_ids, auth_chain_ids } = answer.body;
  const wanted = [...new Set([...auth_chain_ids, ...pdu_ids])];
  const known = await findEvents(hs, wanted);
  const unknown = wanted.filter((id) => !known.has(id));
  const ask = unknown.length > MOST_SINGLE_EVENTS ? wholeState : singleEvents;
  await storeGiven(hs, room, ask, { ...sources, servers: [server] });
  return pdu_ids;

  async function wholeState(memory: AnswerMemory): Promise<readonly unknown[]> {
    const state = await remotes.getRoomState(server, question, { ...options, memory });
    return state.ok ? [...state.body.auth_chain, ...state.body.pdus] : [];
  }

  async function singleEvents(): Promise<readonly unknown[]> {
    const answers = await Promise.all(
      unknown.map(async (id) => await remotes.getEvent(server, { eventId: id }, options)),
    );
    return answers.flatMap((it) => (it.ok ? it.body.pdus : []));
  }
}

/**
 * Stores the events of a state that another server gives, with those that authorise it. What is missing of the latter
 * is asked for: Tuwunel and its kin give those that authorise one event, and not those of its whole state.
 *
 * @param ask asks for the events, which may be large.
 * @param sources who gives them, and is asked for what is missing.
 */
async function storeGiven(
  hs: Homeserver,
  room: Room,
  ask: (memory: AnswerMemory) => Promise<readonly unknown[]>,
  sources: Sources,
): Promise<void> {
  const left = await withAnswerMemory(hs, async (memory) => {
    const events = await checkedOfRoom(hs, room, await ask(memory), sources);
    const unverifiable = new Set(await storeOutliers(hs, room, events));
    const its = events.filter((it) => unverifiable.has(it.event.event_id));
    return new Map(its.map((it) => [it.event.event_id, it]));
  });
  if (left.size === 0) return;
  // Not before that memory is given back: these answers may have to wait for some.
  await fetchAuthEvents(hs, room, left, sources);
  await storeOutliers(hs, room, [...left.values()]);
}
