import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import type { RoomEventFilter } from "#src/filters/filter.ts";
import { matchesRoomEventFilter, matchesRooms } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf, glimpseEvents } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { pastOf } from "./past.ts";
import { pageBackwards, pageForwards, type PageRow } from "./queries-timeline.ts";
import { relatingEvents } from "./relating-events.ts";
import { type Place, placeBefore } from "./token.ts";
import type { RoomView } from "./view-of-room.ts";
import { visibleEvents } from "./visible-events.ts";

export type Page = {
  readonly events: readonly StoredEvent[];
  /** Those to which something relates that is told with them. */
  readonly related: readonly StoredEvent[];
  /** Where the next page begins; undefined if there is none. */
  readonly end: Place | undefined;
};

const NOTHING: Page = { events: [], related: [], end: undefined };

/** A page as it was read. */
type ReadPage = Page & {
  /** Whether there is nothing beyond it. */
  readonly isLast: boolean;
  /** Whether the room may lack events. */
  readonly hasHoles: boolean;
};

export type PageRequest = {
  readonly direction: "b" | "f";
  readonly from: Place | undefined;
  readonly to: Place | undefined;
  readonly limit: number;
  readonly filter: RoomEventFilter | undefined;
};

/** How many events are looked through for one page, at the most, as a multiple of its size and at least. */
const MOST_LOOKED_AT = 10;
const LEAST_LOOKED_AT = 500;

/** How many times as many are read at once, each time that those before were not enough; and the most. */
const MORE_EACH_TIME = 4;
const MOST_AT_ONCE = 1000;

/**
 * One page of a room's history, in the order that was asked for. Each event of the room is on exactly
 * one page, whatever the size of the pages: all read the room's one order. Who reads backwards to where we
 * have not got what other servers have gets that too, if they give it in time.
 *
 * @spec client-server-api#get_matrixclientv3roomsroomidmessages
 */
export async function readMessages(
  hs: Homeserver,
  requester: Requester,
  view: RoomView,
  request: PageRequest,
): Promise<Page> {
  if (!matchesRooms(request.filter, view.room.roomId)) return NOTHING;
  if (request.direction === "f") return await readPage(hs, requester, view, request);
  const past = pastOf(hs, view.room);
  const { from } = withinView(view, request);
  for (;;) {
    const page = await readPage(hs, requester, view, request);
    if (!page.hasHoles) return page;
    const stretch = { from, to: page.isLast ? request.to : page.end };
    const { hasMore, hole } = await past.fetchInto(stretch);
    // What comes is put where it belongs, so the same page has more then.
    if (hasMore) continue;
    return hole === undefined ? page : await upToHole(hs, { ...page, end: page.end ?? from }, hole);
  }
}

/**
 * A page in which what is missing cannot be had now. It ends there, and the next one begins there and tries again; what is
 * beyond is not kept from who comes back to the same place.
 */
async function upToHole(hs: Homeserver, page: Page, hole: number): Promise<Page> {
  const follower = (await eventsOf(hs, [hole])).get(hole);
  const place = placeOfEvent(follower);
  if (!place) return page;
  const { anchor, offset } = place;
  const isThere = (it: StoredEvent) =>
    (it.anchor ?? 0) > anchor || (it.anchor === anchor && it.anchorOffset >= offset);
  const events = page.events.filter(isThere);
  if (events.length === 0) return page;
  return { events, related: page.related.filter(isThere), end: placeBefore(anchor, offset) };
}

async function readPage(
  hs: Homeserver,
  requester: Requester,
  view: RoomView,
  request: PageRequest,
): Promise<ReadPage> {
  const { direction, limit } = request;
  const { from: start, to } = withinView(view, request);
  const found: StoredEvent[] = [];
  const looked: PageRow[] = [];
  const mostRows = Math.max(limit * MOST_LOOKED_AT, LEAST_LOOKED_AT);
  let from = start;
  let size = limit;
  let isLast = false;
  let hasHoles = false;
  for (; !isLast && found.length < limit && looked.length < mostRows; size *= MORE_EACH_TIME) {
    const count = Math.min(size, mostRows - looked.length, MOST_AT_ONCE);
    const { rows, wanted, mayHaveHoles } = await look(hs, requester, view, {
      ...request,
      from,
      to,
      limit: count,
    });
    looked.push(...rows);
    hasHoles ||= mayHaveHoles;
    const left = limit - found.length;
    found.push(...wanted.slice(0, left));
    const last = wanted.length > left ? placeOfEvent(found.at(-1)) : placeOfRow(rows.at(-1));
    if (last) from = direction === "b" ? placeBefore(last.anchor, last.offset) : last;
    isLast = rows.length < count && wanted.length <= left;
  }
  // Clients expect an end of every page that has read something; the next one says that it is the last.
  const end = isLast && looked.length === 0 ? undefined : from;
  const relatedTo = new Set(looked.flatMap((it) => (it.isRelatedTo ? [it.event_key] : [])));
  const related = found.filter((it) => relatedTo.has(it.eventKey));
  return { events: found, related, end, isLast, hasHoles };
}

type Looked = {
  readonly rows: readonly PageRow[];
  readonly wanted: readonly StoredEvent[];
  readonly mayHaveHoles: boolean;
};

/** So many rows of a room's order as are asked for, or all that are left; and those of their events that are wanted. */
async function look(
  hs: Homeserver,
  requester: Requester,
  view: RoomView,
  { direction, filter, ...stretch }: PageRequest,
): Promise<Looked> {
  const read = direction === "b" ? pageBackwards : pageForwards;
  const rows = await read(hs.sql, view.room.roomKey, stretch);
  const keys = rows.map((it) => it.event_key);
  const events = await glimpseEvents(hs, keys);
  const page = keys.flatMap((it) => events.get(it) ?? []);
  const wanted = await wantedOf(hs, requester, view, { page, filter });
  // Where there is no row, nothing is said of holes.
  return { rows, wanted, mayHaveHoles: rows[0]?.hasHoles ?? true };
}

function placeOfEvent(event: StoredEvent | undefined): Place | undefined {
  return event && { anchor: event.anchor ?? 0, offset: event.anchorOffset };
}

function placeOfRow(row: { anchor: number; anchor_offset: number } | undefined): Place | undefined {
  return row && { anchor: row.anchor, offset: row.anchor_offset };
}

/** One who has left begins, or ends, where they left. */
function withinView(
  { until }: RoomView,
  { direction, from, to }: PageRequest,
): Pick<PageRequest, "from" | "to"> {
  if (until === undefined) return { from, to };
  const notAfter = (place: Place | undefined) =>
    place && place.anchor <= until ? place : { anchor: until, offset: 0 };
  return direction === "b" ? { from: notAfter(from), to } : { from, to: notAfter(to) };
}

async function wantedOf(
  hs: Homeserver,
  requester: Requester,
  { standing }: RoomView,
  { page, filter }: { page: readonly StoredEvent[]; filter: RoomEventFilter | undefined },
): Promise<StoredEvent[]> {
  const [seen, ignored] = await Promise.all([
    visibleEvents(hs, requester, page, standing),
    ignoredUsersOf(hs, requester.userKey),
  ]);
  const visible = seen.filter((it) => it.stateKey !== undefined || !ignored.has(it.sender));
  if (!filter) return visible;
  const relating = await relatingEvents(hs, filter, visible);
  return visible.filter((it) => matchesRoomEventFilter(filter, it, relating.get(it.eventId)));
}
