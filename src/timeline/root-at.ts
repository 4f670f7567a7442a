import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Place } from "./token.ts";

/** The root of a room's current state as it was at a place in its order. */
export async function rootAt(
  hs: Homeserver,
  roomKey: number,
  { anchor, offset }: Place,
): Promise<number> {
  const [row] = await hs.sql<{ root: number }[]>`
    select coalesce(room_state, state_after) as root from events
    where room_key = ${roomKey} and status = 0 and (anchor, anchor_offset) <= (${anchor}, ${offset})
    order by anchor desc, anchor_offset desc limit 1`;
  return row?.root ?? 0;
}
