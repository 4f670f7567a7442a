import type { RoomEventFilter } from "#src/filters/filter.ts";
import { matchesRoomEventFilter, type Relating } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
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

/**
 * One page of a room's history, in the order that was asked for. Each event of the room is on exactly
 * one page, whatever the size of the pages: all read the room's one order.
 *
 * @spec client-server-api#get_matrixclientv3roomsroomidmessages
 */
export async function readMessages(
  hs: Homeserver,
  requester: Requester,
  view: RoomView,
  request: PageRequest,
): Promise<Page> {
  const { direction, limit, to } = request;
  const read = direction === "b" ? eventKeysBackwards : eventKeysForwards;
  let from = startOf(view, request);
  const found: StoredEvent[] = [];
  const mostRows = Math.max(limit * MOST_LOOKED_AT, LEAST_LOOKED_AT);
  for (let rowsSeen = 0; rowsSeen < mostRows;) {
    const size = limit - found.length;
    const rows = await read(hs.sql, view.room.roomKey, { from, to, limit: size });
    rowsSeen += rows.length;
    const events = await eventsOf(
      hs,
      rows.map((it) => it.event_key),
    );
    const page = rows.flatMap((it) => events.get(it.event_key) ?? []);
    found.push(...(await wantedOf(hs, requester, view, { page, filter: request.filter })));
    const last = rows.at(-1);
    if (last) {
      from =
        direction === "b"
          ? placeBefore(last.anchor, last.anchor_offset)
          : { anchor: last.anchor, offset: last.anchor_offset };
    }
    // Clients expect an end of every page that has read something; the next one says that it is the last.
    if (rows.length < size) return { events: found, end: rowsSeen > 0 ? from : undefined };
    if (found.length >= limit) break;
  }
  return { events: found, end: from };
}

/** One who has left begins where they left. */
function startOf({ until }: RoomView, { direction, from }: PageRequest): Place | undefined {
  if (direction === "f" || until === undefined) return from;
  return from && from.anchor <= until ? from : { anchor: until, offset: 0 };
}

async function wantedOf(
  hs: Homeserver,
  requester: Requester,
  { standing }: RoomView,
  { page, filter }: { page: readonly StoredEvent[]; filter: RoomEventFilter | undefined },
): Promise<StoredEvent[]> {
  const visible = await visibleEvents(hs, requester, page, standing);
  if (!filter) return visible;
  const asksRelating = filter.related_by_senders ?? filter.related_by_rel_types;
  const relating: ReadonlyMap<string, Relating> = asksRelating
    ? await relatingEvents(
        hs,
        visible.map((it) => it.eventId),
      )
    : new Map();
  return visible.filter((it) => matchesRoomEventFilter(filter, it, relating.get(it.eventId)));
}
