import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { eventsOf, findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import type { GivenStates } from "../received/given-states.ts";
import { inOrder } from "../received/in-order.ts";
import { receiveEvents } from "../received/receive-events.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { fetchAuthEvents } from "./fetch-auth-events.ts";
import { fetchState } from "./fetch-state.ts";
import type { Hole } from "./queries-holes.ts";
import { MOST_SERVERS, optionsOf, type Sources } from "./sources.ts";
import { withUnknown } from "./with-unknown.ts";

/** How many events are asked for at a time. */
const PAGE = 100;

/** Of how many events of a page the state before them is asked for: where history forks, it has several ends. */
const MOST_STATES = 20;

/**
 * Asks for the events that are missing before others, and those that precede them, and puts them there:
 * one page, from the first server that has it.
 *
 * @returns whether any of what was missing has come.
 * @spec server-server-api#get_matrixfederationv1backfillroomid
 */
export async function fetchHistory(
  hs: Homeserver,
  room: Room,
  holes: readonly Hole[],
  sources: Sources,
): Promise<boolean> {
  const from = [...new Set(holes.map((it) => it.missingId))];
  const question = { roomId: room.roomId, from, limit: PAGE };
  for (const server of sources.servers.slice(0, MOST_SERVERS)) {
    const answer = await sources.remotes.backfillRoom(server, question, optionsOf(sources));
    if (!answer.ok) continue;
    const setting = { keys: sources.keys, isHistory: true as const };
    const page = await checkedOfRoom(hs, room, answer.body.pdus, setting);
    const only = {
      ...sources,
      servers: [server, ...sources.servers.filter((it) => it !== server)],
    };
    const wanted = leadingTo(from, await withoutPlaced(hs, page));
    if (await takeIn(hs, room, { holes, page: wanted }, only)) {
      hs.log.info(
        { roomId: room.roomId, server, events: wanted.size },
        "fetched what a room lacked",
      );
      return true;
    }
  }
  hs.log.info({ roomId: room.roomId, missing: from.length }, "nobody has what a room lacks");
  return false;
}

/** Those of some events that have no place yet. */
async function withoutPlaced(
  hs: Homeserver,
  events: readonly ReceivedEvent[],
): Promise<ReceivedEvent[]> {
  const known = await findEvents(
    hs,
    events.map((it) => it.event.event_id),
  );
  return events.filter((it) => known.get(it.event.event_id)?.anchor === undefined);
}

/** Those of some events that are named, or precede those that are: of others it is not known where they belong. */
function leadingTo(
  named: readonly EventId[],
  events: readonly ReceivedEvent[],
): ReadonlyMap<EventId, ReceivedEvent> {
  const byId = new Map(events.map((it) => [it.event.event_id, it]));
  const found = new Map<EventId, ReceivedEvent>();
  const waiting = [...named];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const it = byId.get(id);
    if (!it || found.has(id)) continue;
    found.set(id, it);
    waiting.push(...it.event.prev_events);
  }
  return found;
}

async function takeIn(
  hs: Homeserver,
  room: Room,
  { holes, page }: { holes: readonly Hole[]; page: ReadonlyMap<EventId, ReceivedEvent> },
  sources: Sources,
): Promise<boolean> {
  if (page.size === 0) return false;
  await fetchAuthEvents(hs, room, page, sources);
  const states = new Map<EventId, readonly EventId[]>();
  const ends = await withUnknown(hs, room, { all: page, names: "prev_events" });
  for (const { event } of ends.slice(0, MOST_STATES)) {
    const state = await fetchState(hs, room, event.event_id, sources);
    if (state) states.set(event.event_id, state);
  }
  const events = placeable(page, ends, states);
  const keys = holes.map((it) => it.eventKey);
  const [follower] = (await eventsOf(hs, keys)).values();
  await receiveEvents(hs, room, events, {
    as: "history",
    states,
    // The state a page earlier is not much other.
    ...(follower?.stateBefore !== undefined && { statesLike: follower.stateBefore }),
  });
  const missing = await findEvents(
    hs,
    holes.map((it) => it.missingId),
  );
  return [...missing.values()].some((it) => it.anchor !== undefined);
}

/** Those of a page of which the state before them can be known. The others come another time. */
function placeable(
  page: ReadonlyMap<EventId, ReceivedEvent>,
  ends: readonly ReceivedEvent[],
  states: GivenStates,
): ReceivedEvent[] {
  const without = new Set(ends.map((it) => it.event.event_id).filter((id) => !states.has(id)));
  return inOrder([...page.values()]).filter(({ event: { event_id, prev_events } }) => {
    if (states.has(event_id)) return true;
    if (prev_events.some((id) => without.has(id))) without.add(event_id);
    return !without.has(event_id);
  });
}
