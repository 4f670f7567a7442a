import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import type { Room } from "../find-room.ts";
import { extremitiesOf } from "../received/extremities-of.ts";
import type { GivenStates } from "../received/given-states.ts";
import { headOf } from "../received/head-of.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { fetchAuthEvents } from "./fetch-auth-events.ts";
import { fetchStateBefore } from "./fetch-state.ts";
import { depthOfComing } from "./queries-holes.ts";
import { MOST_SERVERS, optionsOf, type Sources } from "./sources.ts";
import { withUnknown } from "./with-unknown.ts";

/** How many events are asked for at a time, and how often, before the state is asked for instead. */
const EVENTS_AT_A_TIME = 50;
const MOST_ROUNDS = 60;

/** Who gives fewer than this has no more: other servers give no more than this at a time, whatever they are asked for. */
const FULL_ANSWER = 20;

/** The most characters of JSON that are asked for before the state is asked for instead. */
const MOST_CHARACTERS = 8_000_000;

/** Of how many events of a batch the state before them is asked for. */
const MOST_STATES = 10;

/** Events that lead to nothing that we have. */
export type Unled = {
  readonly events: readonly ReceivedEvent[];
  /**
   * Whether they have just been brought to us. Then those to which servers say that nothing leads wait: `fillHoles`
   * asks once more, if what they wait for has not come by then.
   */
  readonly isNews: boolean;
};

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
  { events, isNews }: Unled,
  sources: Sources,
): Promise<{ events: readonly ReceivedEvent[]; states: GivenStates }> {
  const own = new Set(events.map((it) => it.event.event_id));
  const all = new Map(events.map((it) => [it.event.event_id, it]));
  const isAnswered = await fetchBetween(hs, room, all, sources);
  await fetchAuthEvents(hs, room, all, sources);
  const states = new Map<EventId, readonly EventId[]>();
  // While the room's members are not all known, what has no end waits until they are.
  if ((await headOf(hs, room)).isPartial) return { events: [...all.values()], states };
  const unled = await withUnknown(hs, room, { all, names: "prev_events" });
  const waits = (it: ReceivedEvent) => isNews && isAnswered && own.has(it.event.event_id);
  const ends = unled.filter((it) => !waits(it));
  for (const { event } of ends.slice(0, MOST_STATES)) {
    const state = await fetchStateBefore(hs, room, event, sources);
    if (state) states.set(event.event_id, state);
  }
  return { events: [...all.values()], states };
}

/**
 * Adds to events those between them and what we have, as far back as this server has been in the room.
 *
 * @returns whether any server has said what there is.
 */
async function fetchBetween(
  hs: Homeserver,
  room: Room,
  all: Map<EventId, ReceivedEvent>,
  sources: Sources,
): Promise<boolean> {
  let characters = 0;
  let rounds = 0;
  let isAnswered = false;
  let unled = await withUnknown(hs, room, { all, names: "prev_events" });
  if (unled.length === 0) return false;
  const min_depth = await depthOfComing(hs.sql, room.roomKey);
  for (const server of sources.servers.slice(0, MOST_SERVERS)) {
    while (rounds++ < MOST_ROUNDS && characters < MOST_CHARACTERS) {
      const question = { server, latest: unled, min_depth };
      const previous = await previousEvents(hs, room, question, sources);
      if (!previous) break;
      const { fetched, isFull } = previous;
      const isNew = fetched.filter((it) => !all.has(it.event.event_id));
      // Some servers give back only what they are asked about: that does not say that nothing leads to it.
      if (isNew.length > 0 || fetched.length === 0) isAnswered = true;
      for (const it of isNew) all.set(it.event.event_id, it);
      characters += isNew.reduce((sum, it) => sum + it.json.length, 0);
      const which = new Set([...unled, ...isNew]);
      unled = await withUnknown(hs, room, { all, names: "prev_events", which });
      if (unled.length === 0) return true;
      if (isNew.length === 0 || !isFull) break;
    }
  }
  return isAnswered;
}

async function previousEvents(
  hs: Homeserver,
  room: Room,
  {
    server,
    latest,
    min_depth,
  }: { server: ServerName; latest: readonly ReceivedEvent[]; min_depth: number },
  sources: Sources,
): Promise<{ fetched: readonly ReceivedEvent[]; isFull: boolean } | undefined> {
  const question = {
    roomId: room.roomId,
    earliest_events: await extremitiesOf(hs, room),
    latest_events: latest.map((it) => it.event.event_id),
    limit: EVENTS_AT_A_TIME,
    min_depth,
  };
  const answer = await sources.remotes.getMissingPreviousEvents(
    server,
    question,
    optionsOf(sources),
  );
  if (!answer.ok) {
    return answer.why === "malformed" ? { fetched: [], isFull: false } : undefined;
  }
  const fetched = await checkedOfRoom(hs, room, answer.body.events, sources);
  return { fetched, isFull: answer.body.events.length >= FULL_ANSWER };
}
