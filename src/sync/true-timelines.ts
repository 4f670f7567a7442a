import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { statesAt } from "#src/rooms/current-state.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { rootAt } from "#src/timeline/root-at.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import { endOf, type Timeline } from "./room-timelines.ts";

/** Whether the room had forks while what a timeline tells of happened. */
export function isForked({ events }: Timeline): boolean {
  return events.some((it) => it.amongForks);
}

/**
 * Timelines by which a client that puts their state events on top of the state that it has comes to the
 * room's true state. Where forks were resolved, the last event of a type and state key need not be the
 * one that counts: then the timeline begins after it, so that the state can say what does. What is left
 * out can be read as older messages.
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
    if (!timeline || !isForked(timeline)) continue;
    const root = await rootAt(hs, room.roomKey, { anchor: endOf(room, upTo), offset: 0 });
    cut.set(room.roomKey, await trueTimeline(hs, timeline, root));
  }
  return cut.size === 0 ? timelines : new Map([...timelines, ...cut]);
}

async function trueTimeline(hs: Homeserver, timeline: Timeline, root: number): Promise<Timeline> {
  const last = new Map<string, { event: StoredEvent; index: number; pair: StatePair }>();
  for (const [index, event] of timeline.events.entries()) {
    if (event.stateKey === undefined) continue;
    const pair: StatePair = [event.type, event.stateKey];
    last.set(pairKey(...pair), { event, index, pair });
  }
  const state = await statesAt(
    hs,
    root,
    [...last.values()].map((it) => it.pair),
  );
  const wrong = [...last].filter(([key, it]) => state.get(key)?.eventKey !== it.event.eventKey);
  if (wrong.length === 0) return timeline;
  const [, end] = wrong.reduce((one, other) => (one[1].index > other[1].index ? one : other));
  return {
    ...timeline,
    events: timeline.events.slice(end.index + 1),
    limited: true,
    start: { anchor: end.event.anchor ?? 0, offset: end.event.anchorOffset },
  };
}
