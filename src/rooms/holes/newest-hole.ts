import type { Queryable } from "#src/homeserver/database.ts";

type Place = { readonly anchor: number; readonly offset: number };

/**
 * The newest hole in a stretch of a room's order: the key of the event that stands just after it.
 *
 * @param from where the stretch ends, and `to` where it begins: the places just after the last event, and
 *   just before the first. Undefined for the ends of the room.
 */
export async function newestHole(
  db: Queryable,
  roomKey: number,
  { from, to }: { readonly from: Place | undefined; readonly to: Place | undefined },
): Promise<number | undefined> {
  const [row] = await db<{ event_key: number }[]>`
    select event_key from missing_events join events using (event_key)
    where missing_events.room_key = ${roomKey} and status in (0, 4)
      and (anchor, anchor_offset - 1)
        <= (${String(from?.anchor ?? END)}::bigint, ${from?.offset ?? 0}::int)
      and (anchor, anchor_offset - 1) > (${to?.anchor ?? -1}::bigint, ${to?.offset ?? 0}::int)
    order by anchor desc, anchor_offset desc limit 1`;
  return row?.event_key;
}

/** The most that a bigint holds: after every event. */
const END = "9223372036854775807";

/** Whether an event that has a place stands just after a hole. */
export async function isAfterHole(
  db: Queryable,
  roomKey: number,
  eventKey: number,
): Promise<boolean> {
  const rows = await db`
    select from missing_events where room_key = ${roomKey} and event_key = ${eventKey} limit 1`;
  return rows.length > 0;
}
