import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Place } from "./token.ts";

/** The root of a room's current state as it was at a place in its order, to which also what is not shown has led. */
export async function rootAt(
  hs: Homeserver,
  roomKey: number,
  { anchor, offset }: Place,
): Promise<number> {
  const [row] = await hs.sql<{ root: number }[]>`
    select coalesce(room_state, state_after) as root from events
    where room_key = ${roomKey} and status in (0, 4) and (anchor, anchor_offset) <= (${anchor}, ${offset})
    order by anchor desc, anchor_offset desc limit 1`;
  return row?.root ?? (await rootAtFirst(hs, roomKey));
}

/** The same for many rooms with one query, in the order of the questions. */
export async function rootsAt(
  hs: Homeserver,
  places: readonly { readonly roomKey: number; readonly anchor: number }[],
): Promise<number[]> {
  if (places.length === 0) return [];
  const rows = await hs.sql<{ index: number; root: number }[]>`
    select asked.index, found.root
    from unnest(${places.map((it) => it.roomKey)}::bigint[], ${places.map((it) => it.anchor)}::bigint[])
      with ordinality as asked (room_key, anchor, index)
    cross join lateral (
      select coalesce(room_state, state_after) as root from events
      where events.room_key = asked.room_key and status in (0, 4) and events.anchor <= asked.anchor
      order by events.anchor desc, anchor_offset desc limit 1) as found`;
  const roots = new Map(rows.map((it) => [it.index - 1, it.root]));
  return await Promise.all(
    places.map(async ({ roomKey }, index) => roots.get(index) ?? (await rootAtFirst(hs, roomKey))),
  );
}

/**
 * Before the first event that we have of a room: the state into which that was sent. Before the create event
 * there was none, so there it is the first in which somebody is in the room; of a room whose events are few,
 * `/sync` gives clients such a place as the point in time that they may ask about.
 *
 * @spec client-server-api#get_matrixclientv3roomsroomidmembers
 */
async function rootAtFirst(hs: Homeserver, roomKey: number): Promise<number> {
  const [first, second] = await hs.sql<{ before: number; after: number }[]>`
    select state_before as before, state_after as after from events
    where room_key = ${roomKey} and status = 0
    order by anchor, anchor_offset limit 2`;
  return first?.before || second?.after || 0;
}
