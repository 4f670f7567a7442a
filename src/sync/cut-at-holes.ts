import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { otherServerOf } from "#src/rooms/user-keys.ts";
import { placeBefore } from "#src/timeline/token.ts";
import type { Timeline } from "./room-timelines.ts";

/**
 * Timelines that have no hole in them: of what other servers have not told us yet the client is not to believe that
 * there was nothing. Each begins after its last hole; what is before that can be read as older messages, by when it
 * has been asked for.
 *
 * @spec client-server-api#syncing
 */
export async function cutAtHoles(
  hs: Homeserver,
  timelines: ReadonlyMap<number, Timeline>,
): Promise<ReadonlyMap<number, Timeline>> {
  // What we send follows upon what we have.
  const received = [...timelines.values()].flatMap(({ events }) =>
    events.filter((it) => otherServerOf(hs, it.sender) !== undefined),
  );
  if (received.length === 0) return timelines;
  const afterHole = await following(hs, received);
  if (afterHole.size === 0) return timelines;
  return new Map([...timelines].map(([roomKey, it]) => [roomKey, cut(it, afterHole)]));
}

/** Those of some events that follow others which we have not got. Mostly from memory. */
async function following(
  hs: Homeserver,
  events: readonly StoredEvent[],
): Promise<ReadonlySet<StoredEvent>> {
  const rooms = await roomsByKeys(hs, [...new Set(events.map((it) => it.roomKey))]);
  const named = new Map<StoredEvent, readonly EventId[]>();
  for (const it of events) {
    const room = rooms.get(it.roomKey);
    if (room) named.set(it, it.pdu(room.rules).prev_events);
  }
  const known = await findEvents(hs, [...new Set([...named.values()].flat())]);
  const isPlaced = (id: EventId) => known.get(id)?.anchor !== undefined;
  return new Set([...named].filter(([, ids]) => !ids.every(isPlaced)).map(([it]) => it));
}

function cut(timeline: Timeline, afterHole: ReadonlySet<StoredEvent>): Timeline {
  const index = timeline.events.findLastIndex((it) => afterHole.has(it));
  const first = timeline.events[index];
  if (!first) return timeline;
  return {
    ...timeline,
    events: timeline.events.slice(index),
    limited: true,
    start: placeBefore(first.anchor ?? 0, first.anchorOffset),
  };
}
