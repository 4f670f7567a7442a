import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { type RelatedQuery, relatedRows } from "./queries-relations.ts";
import { readEvent } from "./read-context.ts";
import { type Place, placeBefore } from "./token.ts";
import type { RoomView } from "./view-of-room.ts";
import { visibleEvents } from "./visible-events.ts";

/** How far relations of relations are followed. */
export const RECURSION_DEPTH = 3;

/** How often more is read, where the reader may not see all that was. */
const MOST_READINGS = 5;

export type RelationsRequest = Omit<RelatedQuery, "roomKey" | "depth"> & {
  readonly recurse: boolean;
};

/**
 * One page of the events that relate to an event of a room, if the user may see that.
 *
 * @returns also where the next page begins, if there is one.
 * @throws MatrixError M_NOT_FOUND
 * @spec client-server-api#relationships-api
 */
export async function readRelations(
  hs: Homeserver,
  requester: Requester,
  view: RoomView,
  { recurse, ...request }: RelationsRequest,
): Promise<{ readonly events: readonly StoredEvent[]; readonly next: Place | undefined }> {
  await readEvent(hs, requester, view, request.eventId);
  const found: StoredEvent[] = [];
  const query = {
    ...request,
    roomKey: view.room.roomKey,
    depth: recurse ? RECURSION_DEPTH : 1,
  };
  let { from } = request;
  for (let readings = 0; readings < MOST_READINGS && found.length < request.limit; readings++) {
    const size = request.limit - found.length;
    const rows = await relatedRows(hs.sql, { ...query, from, limit: size + 1 });
    const keys = rows.slice(0, size).map((it) => it.event_key);
    found.push(...(await seenOf(hs, requester, view, keys)));
    const last = rows[size - 1];
    if (!last || rows.length <= size) return { events: found, next: undefined };
    const { anchor, anchor_offset: offset } = last;
    from = request.direction === "b" ? placeBefore(anchor, offset) : { anchor, offset };
  }
  return { events: found, next: from };
}

async function seenOf(
  hs: Homeserver,
  requester: Requester,
  { standing }: RoomView,
  keys: readonly number[],
): Promise<StoredEvent[]> {
  const events = await eventsOf(hs, keys);
  const page = keys.flatMap((it) => events.get(it) ?? []);
  const [seen, ignored] = await Promise.all([
    visibleEvents(hs, requester, page, standing),
    ignoredUsersOf(hs, requester.userKey),
  ]);
  return seen.filter((it) => it.stateKey !== undefined || !ignored.has(it.sender));
}
