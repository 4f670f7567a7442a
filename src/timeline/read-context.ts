import type { RoomEventFilter } from "#src/filters/filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { readMessages } from "./read-messages.ts";
import { type Place, placeBefore } from "./token.ts";
import type { RoomView } from "./view-of-room.ts";
import { visibleEvents } from "./visible-events.ts";

export type EventContext = {
  readonly event: StoredEvent;
  /** Newest first. */
  readonly before: readonly StoredEvent[];
  readonly after: readonly StoredEvent[];
  readonly start: Place;
  readonly end: Place;
};

/**
 * An event of a room that the user may see.
 *
 * @throws MatrixError M_NOT_FOUND, also of one that they may not see.
 */
export async function readEvent(
  hs: Homeserver,
  requester: Requester,
  { room, standing }: RoomView,
  eventId: EventId,
): Promise<StoredEvent> {
  const event = await findEvent(hs, eventId);
  const [visible] =
    event?.roomKey === room.roomKey ? await visibleEvents(hs, requester, [event], standing) : [];
  if (!visible) throw new MatrixError("M_NOT_FOUND", "The room has no such event, or not for you");
  return visible;
}

/**
 * An event, and what was just before and after it.
 *
 * @param limit how many events there are to be around it, both sides together.
 * @throws MatrixError M_NOT_FOUND
 * @spec client-server-api#get_matrixclientv3roomsroomidcontexteventid
 */
export async function readContext(
  hs: Homeserver,
  requester: Requester,
  view: RoomView,
  {
    eventId,
    limit,
    filter,
  }: { eventId: EventId; limit: number; filter: RoomEventFilter | undefined },
): Promise<EventContext> {
  const event = await readEvent(hs, requester, view, eventId);
  const at = { anchor: event.anchor ?? 0, offset: event.anchorOffset };
  const justBefore = placeBefore(at.anchor, at.offset);
  // Of an odd number the one more is after the event, as clients have it from other servers.
  const most = { before: Math.floor(limit / 2), after: Math.ceil(limit / 2) };
  const page = { to: undefined, filter };
  const [before, after] = await Promise.all([
    readMessages(hs, requester, view, {
      ...page,
      direction: "b",
      from: justBefore,
      limit: Math.max(1, most.before),
    }),
    readMessages(hs, requester, view, {
      ...page,
      direction: "f",
      from: at,
      limit: Math.max(1, most.after),
    }),
  ]);
  const shown = {
    before: before.events.slice(0, most.before),
    after: after.events.slice(0, most.after),
  };
  const first = shown.before.at(-1);
  const last = shown.after.at(-1);
  return {
    event,
    ...shown,
    start: first ? placeBefore(first.anchor ?? 0, first.anchorOffset) : justBefore,
    end: last ? { anchor: last.anchor ?? 0, offset: last.anchorOffset } : at,
  };
}
