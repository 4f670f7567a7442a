import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import type { RoomEventFilter } from "#src/filters/filter.ts";
import { matchesRoomEventFilter, matchesRooms } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { pastOf } from "./past.ts";
import { eventKeysBackwards, eventKeysForwards } from "./queries-timeline.ts";
import { relatingEvents } from "./relating-events.ts";
import { type Place, placeBefore } from "./token.ts";
import type { RoomView } from "./view-of-room.ts";
import { visibleEvents } from "./visible-events.ts";

export type Page = {
  readonly events: readonly StoredEvent[];
  /** Where the next page begins; undefined if there is none. */
  readonly end: Place | undefined;
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
  if (!matchesRooms(request.filter, view.room.roomId)) return { events: [], end: undefined };
  if (request.direction === "f") return await readPage(hs, requester, view, request);
  const past = pastOf(hs, view.room);
  const { from } = withinView(view, request);
  for (;;) {
    const page = await readPage(hs, requester, view, request);
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
  const events = page.events.filter(
    (it) => (it.anchor ?? 0) > anchor || (it.anchor === anchor && it.anchorOffset >= offset),
  );
  return events.length > 0 ? { events, end: placeBefore(anchor, offset) } : page;
}

async function readPage(
  hs: Homeserver,
  requester: Requester,
  view: RoomView,
  request: PageRequest,
): Promise<Page & { readonly isLast: boolean }> {
  const { direction, limit } = request;
  const read = direction === "b" ? eventKeysBackwards : eventKeysForwards;
  const { from: start, to } = withinView(view, request);
  const found: StoredEvent[] = [];
  const mostRows = Math.max(limit * MOST_LOOKED_AT, LEAST_LOOKED_AT);
  let from = start;
  let size = limit;
  for (let rowsSeen = 0; rowsSeen < mostRows; size *= MORE_EACH_TIME) {
    const count = Math.min(size, mostRows - rowsSeen, MOST_AT_ONCE);
    const rows = await read(hs.sql, view.room.roomKey, { from, to, limit: count });
    rowsSeen += rows.length;
    const events = await eventsOf(
      hs,
      rows.map((it) => it.event_key),
    );
    const page = rows.flatMap((it) => events.get(it.event_key) ?? []);
    const wanted = await wantedOf(hs, requester, view, { page, filter: request.filter });
    const left = limit - found.length;
    found.push(...wanted.slice(0, left));
    const last = wanted.length > left ? placeOfEvent(found.at(-1)) : placeOfRow(rows.at(-1));
    if (last) from = direction === "b" ? placeBefore(last.anchor, last.offset) : last;
    if (wanted.length > left) break;
    // Clients expect an end of every page that has read something; the next one says that it is the last.
    if (rows.length < count) {
      return { events: found, end: rowsSeen > 0 ? from : undefined, isLast: true };
    }
    if (found.length === limit) break;
  }
  return { events: found, end: from, isLast: false };
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
