import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { fetchPast } from "#src/rooms/holes/fetch-past.ts";
import { isAfterHole } from "#src/rooms/holes/newest-hole.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { firstFrom, pageBackwards, pageForwards } from "./queries-timeline.ts";
import { type Place, placeBefore } from "./token.ts";

/** A point in time, and in which direction from there an event is looked for. */
export type Moment = { readonly ts: UnixMs; readonly direction: "f" | "b" };

/** How many events before and after are looked at: not all clocks are right, nor are all events for everybody. */
const NEIGHBOURS = 100;

/** The least offset that an event can have. */
const BEGINNING = -2_147_483_648;

/**
 * The event of a room that was sent closest to a moment, in one direction from it. Events stand mostly in
 * the order of their times, so it is looked for where the moment falls in the room's order.
 *
 * @param visible those of some events that whoever asks may see.
 */
export async function findByTimestamp(
  hs: Homeserver,
  room: Room,
  { ts, direction }: Moment,
  visible: (events: readonly StoredEvent[]) => Promise<Iterable<StoredEvent>>,
): Promise<StoredEvent | undefined> {
  const around = await eventsAround(hs, room, ts);
  const isWanted = (it: StoredEvent) =>
    direction === "f" ? it.originServerTs >= ts : it.originServerTs <= ts;
  const distance = (it: StoredEvent) => Math.abs(it.originServerTs - ts);
  // Of those that were sent at one time, the one that is met first in that direction.
  const sign = direction === "f" ? 1 : -1;
  return [...(await visible(around.filter(isWanted)))]
    .toSorted((a, b) => distance(a) - distance(b) || sign * inRoomOrder(a, b))
    .at(0);
}

function inRoomOrder(a: StoredEvent, b: StoredEvent): number {
  return (a.anchor ?? 0) - (b.anchor ?? 0) || a.anchorOffset - b.anchorOffset;
}

/** How long whoever asks waits for other servers, and how many pages of theirs are asked for meanwhile. */
const MOST_WAITING_MS = 10_000;
const MOST_PAGES = 50;

/** Asks other servers for what they have around a moment, if that falls where we have a hole. */
export async function fetchAround(hs: Homeserver, room: Room, ts: UnixMs): Promise<void> {
  const until = AbortSignal.timeout(MOST_WAITING_MS);
  for (let pages = 0; pages < MOST_PAGES && !until.aborted; pages++) {
    const place = await placeOf(hs, room, ts);
    const next = await neighbours(hs, room, place, "f");
    const [follower] = next;
    if (!follower || !(await isAfterHole(hs.sql, room.roomKey, follower.eventKey))) return;
    if (!(await fetchPast(hs, room, follower.eventKey, until))) return;
  }
}

async function eventsAround(hs: Homeserver, room: Room, ts: UnixMs): Promise<StoredEvent[]> {
  const place = await placeOf(hs, room, ts);
  const [before, after] = await Promise.all([
    neighbours(hs, room, place, "b"),
    neighbours(hs, room, place, "f"),
  ]);
  return [...before, ...after];
}

/** The events just before or just after a place, the nearest first. */
async function neighbours(
  hs: Homeserver,
  { roomKey }: Room,
  from: Place,
  direction: "f" | "b",
): Promise<StoredEvent[]> {
  const read = direction === "f" ? pageForwards : pageBackwards;
  const rows = await read(hs.sql, roomKey, { from, to: undefined, limit: NEIGHBOURS });
  const events = await eventsOf(
    hs,
    rows.map((it) => it.event_key),
  );
  return rows.flatMap((it) => events.get(it.event_key) ?? []);
}

/** The place just after the last event that was sent before a moment: by halving, first anchors, then offsets. */
async function placeOf(hs: Homeserver, { roomKey }: Room, ts: UnixMs): Promise<Place> {
  const first = await firstFrom(hs.sql, roomKey, { anchor: 0, offset: BEGINNING });
  if (!first) return { anchor: 0, offset: 0 };
  if (first.ts > ts) return placeBefore(first.anchor, first.offset);
  const [last] = await pageBackwards(hs.sql, roomKey, {
    from: undefined,
    to: undefined,
    limit: 1,
  });
  let found = first;
  for (let end = (last?.anchor ?? first.anchor) + 1; end - found.anchor > 1;) {
    const anchor = Math.floor((found.anchor + end) / 2);
    const it = await firstFrom(hs.sql, roomKey, { anchor, offset: BEGINNING });
    if (!it || it.ts > ts) end = anchor;
    else found = it;
  }
  for (let end = 1; end - found.offset > 1;) {
    const offset = Math.floor((found.offset + end) / 2);
    const it = await firstFrom(hs.sql, roomKey, { anchor: found.anchor, offset });
    if (it?.anchor !== found.anchor || it.ts > ts) end = offset;
    else found = it;
  }
  return found;
}
