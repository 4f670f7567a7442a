import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { statesAt } from "#src/rooms/current-state.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { rootAt } from "#src/timeline/root-at.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import { endOfState } from "./room-end.ts";
import type { Timeline } from "./room-timelines.ts";

/**
 * Timelines by which a client that puts their state events on top of the state that it has comes to the
 * room's true state. Where forks were resolved, the last event of a type and state key need not be the
 * one that counts. Then that one is moved behind it; or, if it is not in the timeline, the timeline begins
 * after the other, so that the state can say what counts. What is left out can be read as older messages.
 *
 * @spec client-server-api#syncing
 */
export async function trueTimelines(
  hs: Homeserver,
  rooms: readonly ChangedRoom[],
  { timelines, upTo }: { timelines: ReadonlyMap<number, Timeline>; upTo: Position },
): Promise<ReadonlyMap<number, Timeline>> {
  const cut = new Map<number, Timeline>();
  for (const room of rooms) {
    const timeline = timelines.get(room.roomKey);
    if (!timeline || !timeline.isForked) continue;
    const end = endOfState(room, upTo);
    const root = await rootAt(hs, room.roomKey, { anchor: end, offset: 0 });
    cut.set(room.roomKey, await trueTimeline(hs, timeline, { root, end }));
  }
  return cut.size === 0 ? timelines : new Map([...timelines, ...cut]);
}

/** @param at the state that the client is to come to, and its place: what comes after that is told as it is. */
async function trueTimeline(
  hs: Homeserver,
  timeline: Timeline,
  { root, end }: { readonly root: number; readonly end: Position },
): Promise<Timeline> {
  const last = new Map<string, { event: StoredEvent; pair: StatePair }>();
  for (const event of timeline.events) {
    if (event.stateKey === undefined || (event.anchor ?? 0) > end) continue;
    const pair: StatePair = [event.type, event.stateKey];
    last.set(pairKey(...pair), { event, pair });
  }
  const state = await statesAt(
    hs,
    root,
    [...last.values()].map((it) => it.pair),
  );
  const wrong = new Map<StoredEvent, number | undefined>();
  for (const [key, { event }] of last) {
    const counts = state.get(key)?.eventKey;
    if (counts !== event.eventKey) wrong.set(event, counts);
  }
  return wrong.size === 0 ? timeline : corrected(timeline, wrong);
}

/** @param wrong events that are the last of their type and state key, and the keys of those that count instead. */
function corrected(
  timeline: Timeline,
  wrong: ReadonlyMap<StoredEvent, number | undefined>,
): Timeline {
  const { events } = timeline;
  const here = new Map(events.map((it) => [it.eventKey, it]));
  const counting = (it: StoredEvent) => here.get(wrong.get(it) ?? NO_KEY);
  const index = events.findLastIndex((it) => wrong.has(it) && !counting(it));
  const outdone = events[index];
  if (outdone) {
    const start = { anchor: outdone.anchor ?? 0, offset: outdone.anchorOffset };
    const rest = { ...timeline, events: events.slice(index + 1), limited: true, start };
    // With what is left out may go what was to be moved behind another.
    return corrected(rest, wrong);
  }
  const moved = new Set(events.flatMap((it) => counting(it) ?? []));
  const ordered = events.flatMap((it) => {
    const next = counting(it);
    return [...(moved.has(it) ? [] : [it]), ...(next ? [next] : [])];
  });
  return { ...timeline, events: ordered };
}

const NO_KEY = -1;
