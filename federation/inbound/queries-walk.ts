import type { Homeserver } from "#src/homeserver/homeserver.ts";

/** The keys of the events of a room at a place in its order and before it, the newest first. */
export async function eventKeysUpTo(
  hs: Homeserver,
  roomKey: number,
  { anchor, offset, limit }: { anchor: number; offset: number; limit: number },
): Promise<readonly number[]> {
  const rows = await hs.sql<{ event_key: number }[]>`
    select event_key from events
    where room_key = ${roomKey} and (anchor, anchor_offset) <= (${anchor}::bigint, ${offset}::int)
    order by anchor desc, anchor_offset desc limit ${limit}`;
  return rows.map((it) => it.event_key);
}
