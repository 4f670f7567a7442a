import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { AskOptions, KeyLookup, Remotes } from "#src/homeserver/remotes.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { ReceivedEvent } from "#src/rooms/received/assess-events.ts";
import { checkPdus } from "#src/rooms/received/check-pdus.ts";
import { extremitiesOf } from "#src/rooms/received/extremities-of.ts";
import type { GivenStates } from "#src/rooms/received/given-states.ts";
import { storeOutliers } from "#src/rooms/received/store-outliers.ts";

/** Of whom what is missing can be asked, and how. */
export type Sources = {
  /** Those that probably have it, the likeliest first. */
  readonly servers: readonly ServerName[];
  readonly remotes: Pick<
    Remotes,
    "getMissingPreviousEvents" | "getEventAuth" | "getRoomStateIds" | "getRoomState" | "getEvent"
  >;
  readonly keys: KeyLookup;
  /** Gives up asking: what is not known by then is left out. */
  readonly until?: AbortSignal;
};

/** How many events are asked for at a time, and how often, before the state is asked for instead. */
const EVENTS_AT_A_TIME = 50;
const MOST_ROUNDS = 10;

/** If more events of a state than this are unknown, all of it is asked for. */
const MOST_SINGLE_EVENTS = 50;

/** How many servers are asked the same. */
const MOST_SERVERS = 3;

/** Of how many events of a batch the state before them is asked for. */
const MOST_STATES = 10;

/**
 * Gets what received events stand on and is not known: the events between them and what we have; where
 * that has no end, the state before the first of them; and their auth events.
 *
 * Whatever cannot be had is left out.
 *
 * @returns the events with those that lead to them, and the states that were given.
 * @spec server-server-api#backfilling-and-retrieving-missing-events
 */
export async function fetchMissingEvents(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
  sources: Sources,
): Promise<{ events: readonly ReceivedEvent[]; states: GivenStates }> {
  const all = new Map(events.map((it) => [it.event.event_id, it]));
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const unled = await withUnknown(hs, all, "prev_events");
    if (unled.length === 0) break;
    const fetched = await previousEvents(hs, room, unled, sources);
    const isNew = fetched.filter((it) => !all.has(it.event.event_id));
    if (isNew.length === 0) break;
    for (const it of isNew) all.set(it.event.event_id, it);
  }
  await fetchAuthEvents(hs, room, all, sources);
  const states = new Map<EventId, readonly EventId[]>();
  for (const { event } of (await withUnknown(hs, all, "prev_events")).slice(0, MOST_STATES)) {
    const state = await fetchState(hs, room, event.event_id, sources);
    if (state) states.set(event.event_id, state);
  }
  return { events: [...all.values()], states };
}

/** Those of the events that name others which are neither stored nor among them. */
async function withUnknown(
  hs: Homeserver,
  all: ReadonlyMap<EventId, ReceivedEvent>,
  names: "prev_events" | "auth_events",
): Promise<ReceivedEvent[]> {
  const named = [...all.values()].flatMap(({ event }) => event[names].filter((id) => !all.has(id)));
  const known = await findEvents(hs, named);
  // One that has no place leads nowhere.
  const isKnown = (id: EventId) =>
    all.has(id) || (names === "auth_events" ? known.has(id) : known.get(id)?.anchor !== undefined);
  return [...all.values()].filter(({ event }) => !event[names].every(isKnown));
}

async function previousEvents(
  hs: Homeserver,
  room: Room,
  latest: readonly ReceivedEvent[],
  { servers, remotes, keys, until }: Sources,
): Promise<ReceivedEvent[]> {
  const ends = await extremitiesOf(hs, room);
  for (const server of servers.slice(0, MOST_SERVERS)) {
    const question = {
      roomId: room.roomId,
      earliest_events: ends,
      latest_events: latest.map((it) => it.event.event_id),
      limit: EVENTS_AT_A_TIME,
    };
    const answer = await remotes.getMissingPreviousEvents(server, question, untilAt(until));
    if (!answer.ok) continue;
    const received = await checked(hs, room, answer.body.events, keys);
    if (received.length > 0) return received;
  }
  return [];
}

async function fetchAuthEvents(
  hs: Homeserver,
  room: Room,
  all: ReadonlyMap<EventId, ReceivedEvent>,
  { servers, remotes, keys, until }: Sources,
): Promise<void> {
  for (const server of servers.slice(0, MOST_SERVERS)) {
    // What leads from one event leads mostly from the others too, so they are asked about in turn.
    for (;;) {
      const [unauthorised] = await withUnknown(hs, all, "auth_events");
      if (!unauthorised) return;
      const { event_id } = unauthorised.event;
      const question = { roomId: room.roomId, eventId: event_id };
      const answer = await remotes.getEventAuth(server, question, untilAt(until));
      if (!answer.ok) break;
      await storeOutliers(hs, room, await checked(hs, room, answer.body.auth_chain, keys));
      const left = await withUnknown(hs, all, "auth_events");
      if (left.some((it) => it.event.event_id === event_id)) break;
    }
  }
}

/** The state before an event as another server has it; its events are stored. */
async function fetchState(
  hs: Homeserver,
  room: Room,
  eventId: EventId,
  { servers, remotes, keys, until }: Sources,
): Promise<readonly EventId[] | undefined> {
  const question = { roomId: room.roomId, eventId };
  const options = untilAt(until);
  for (const server of servers.slice(0, MOST_SERVERS)) {
    const answer = await remotes.getRoomStateIds(server, question, options);
    if (!answer.ok) continue;
    const { pdu_ids, auth_chain_ids } = answer.body;
    const wanted = [...new Set([...auth_chain_ids, ...pdu_ids])];
    const known = await findEvents(hs, wanted);
    const unknown = wanted.filter((id) => !known.has(id));
    const fetched =
      unknown.length > MOST_SINGLE_EVENTS
        ? await wholeState(server)
        : await singleEvents(server, unknown);
    await storeOutliers(hs, room, await checked(hs, room, fetched, keys));
    const stored = await findEvents(hs, pdu_ids);
    if (pdu_ids.every((id) => stored.has(id))) return pdu_ids;
  }
  return undefined;

  async function wholeState(server: ServerName): Promise<readonly unknown[]> {
    const answer = await remotes.getRoomState(server, question, options);
    return answer.ok ? [...answer.body.auth_chain, ...answer.body.pdus] : [];
  }

  async function singleEvents(server: ServerName, ids: readonly EventId[]) {
    const answers = await Promise.all(
      ids.map(async (id) => await remotes.getEvent(server, { eventId: id }, options)),
    );
    return answers.flatMap((it) => (it.ok ? it.body.pdus : []));
  }
}

function untilAt(signal: AbortSignal | undefined): AskOptions {
  return signal ? { signal } : {};
}

/** Those of the events that pass the checks 1 to 3 and are of the room. */
async function checked(
  hs: Homeserver,
  room: Room,
  pdus: readonly unknown[],
  keys: KeyLookup,
): Promise<ReceivedEvent[]> {
  const all = await checkPdus(pdus, { rules: room.rules, keys, now: hs.now() });
  return all
    .flatMap((it) => (it.ok ? [it.received] : []))
    .filter((it) => it.event.room_id === room.roomId);
}
