import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { eventsOf, findEvents } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { eventKeysUpTo } from "./queries-walk.ts";

export type Walk = {
  /** Where it begins. */
  readonly from: readonly EventId[];
  /** Where it does not go. */
  readonly until?: ReadonlySet<EventId>;
  readonly limit: number;
  readonly minDepth?: number;
  /** Whether the events that it begins with are part of it. */
  readonly includesFrom: boolean;
};

/** How many events are looked at that are no part of the room, before it is left at what was found. */
const MOST_PASSED = 1_000;

/**
 * The events that lead to others, found breadth first by their `prev_events`, as far as they are known
 * and part of the room.
 *
 * @returns the oldest first.
 */
export async function walkBack(
  hs: Homeserver,
  room: Room,
  { from, until = new Set(), limit, minDepth = 0, includesFrom }: Walk,
): Promise<StoredEvent[]> {
  const found = new Map<EventId, StoredEvent>();
  const seen = new Set<EventId>();
  let level = await roomEvents(hs, room, from);
  await bringIntoMemory(hs, room, level, limit);
  if (includesFrom) for (const it of level.slice(0, limit)) found.set(it.eventId, it);
  for (const it of level) seen.add(it.eventId);
  // Whoever is banned can go on sending, and have us go through all of that.
  let passed = 0;
  while (level.length > 0 && found.size < limit && passed < MOST_PASSED) {
    const named = level.flatMap((it) => it.pdu(room.rules).prev_events);
    const next = [...new Set(named)].filter((id) => !seen.has(id) && !until.has(id));
    for (const id of next) seen.add(id);
    level = (await roomEvents(hs, room, next)).filter((it) => it.depth >= minDepth);
    const part = level.filter((it) => it.status !== EventStatus.rejected);
    for (const it of part.slice(0, limit - found.size)) found.set(it.eventId, it);
    passed += level.length - part.length;
  }
  return [...found.values()].toSorted(
    (a, b) => a.depth - b.depth || (a.anchor ?? 0) - (b.anchor ?? 0),
  );
}

/** Those of some events that have a place in the room, in their order. */
async function roomEvents(
  hs: Homeserver,
  { roomKey }: Room,
  ids: readonly EventId[],
): Promise<StoredEvent[]> {
  const events = await findEvents(hs, ids);
  return [...new Set(ids)].flatMap((id) => {
    const event = events.get(id);
    return event?.roomKey === roomKey && event.anchor !== undefined ? [event] : [];
  });
}

/**
 * Reads at once what is likely to be walked through, since what leads to an event mostly stands just
 * before it.
 */
async function bringIntoMemory(
  hs: Homeserver,
  { roomKey }: Room,
  from: readonly StoredEvent[],
  limit: number,
): Promise<void> {
  const last = from.toSorted(
    (a, b) => (a.anchor ?? 0) - (b.anchor ?? 0) || a.anchorOffset - b.anchorOffset,
  );
  const end = last.at(-1);
  if (end?.anchor === undefined) return;
  const place = { anchor: end.anchor, offset: end.anchorOffset, limit: limit + from.length };
  await eventsOf(hs, await eventKeysUpTo(hs, roomKey, place));
}
