import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/assess-events.ts";
import { extremitiesOf } from "../received/extremities-of.ts";
import type { GivenStates } from "../received/given-states.ts";
import { headOf } from "../received/head-of.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { fetchAuthEvents } from "./fetch-auth-events.ts";
import { fetchState } from "./fetch-state.ts";
import { depthOfComing } from "./queries-holes.ts";
import { MOST_SERVERS, optionsOf, type Sources } from "./sources.ts";
import { withUnknown } from "./with-unknown.ts";

/** How many events are asked for at a time, and how often, before the state is asked for instead. */
const EVENTS_AT_A_TIME = 50;
const MOST_ROUNDS = 60;

/** The most characters of JSON that are asked for before the state is asked for instead. */
const MOST_CHARACTERS = 8_000_000;

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
  await fetchBetween(hs, room, all, sources);
  await fetchAuthEvents(hs, room, all, sources);
  const states = new Map<EventId, readonly EventId[]>();
  // While the room's members are not all known, what has no end waits until they are.
  if ((await headOf(hs, room)).isPartial) return { events: [...all.values()], states };
  const unled = await withUnknown(hs, room, { all, names: "prev_events" });
  for (const { event } of unled.slice(0, MOST_STATES)) {
    const state = await fetchState(hs, room, event.event_id, sources);
    if (state) states.set(event.event_id, state);
  }
  return { events: [...all.values()], states };
}

/** Adds to events those between them and what we have, as far back as this server has been in the room. */
async function fetchBetween(
  hs: Homeserver,
  room: Room,
  all: Map<EventId, ReceivedEvent>,
  sources: Sources,
): Promise<void> {
  let characters = 0;
  let unled = await withUnknown(hs, room, { all, names: "prev_events" });
  if (unled.length === 0) return;
  const min_depth = await depthOfComing(hs.sql, room.roomKey);
  for (let round = 0; round < MOST_ROUNDS && characters < MOST_CHARACTERS; round++) {
    const fetched = await previousEvents(hs, room, { latest: unled, min_depth }, sources);
    const isNew = fetched.filter((it) => !all.has(it.event.event_id));
    if (isNew.length === 0) return;
    for (const it of isNew) all.set(it.event.event_id, it);
    characters += isNew.reduce((sum, it) => sum + it.json.length, 0);
    unled = await withUnknown(hs, room, {
      all,
      names: "prev_events",
      which: new Set([...unled, ...isNew]),
    });
    if (unled.length === 0) return;
  }
}

async function previousEvents(
  hs: Homeserver,
  room: Room,
  { latest, min_depth }: { latest: readonly ReceivedEvent[]; min_depth: number },
  sources: Sources,
): Promise<ReceivedEvent[]> {
  const question = {
    roomId: room.roomId,
    earliest_events: await extremitiesOf(hs, room),
    latest_events: latest.map((it) => it.event.event_id),
    limit: EVENTS_AT_A_TIME,
    min_depth,
  };
  const { servers, remotes } = sources;
  for (const server of servers.slice(0, MOST_SERVERS)) {
    const answer = await remotes.getMissingPreviousEvents(server, question, optionsOf(sources));
    if (!answer.ok) continue;
    const received = await checkedOfRoom(hs, room, answer.body.events, sources);
    if (received.length > 0) return received;
  }
  return [];
}
