import { newestPositions } from "#src/rooms/last-positions.ts";

/** What MSC4186 calls proper activity. */
const BUMPING = [
  "m.room.create",
  "m.room.message",
  "m.room.encrypted",
  "m.sticker",
  "m.call.invite",
  "m.poll.start",
  "org.matrix.msc3381.poll.start",
  "m.beacon_info",
  "org.matrix.msc3672.beacon_info",
];
const BUMPS = new Set(BUMPING);

/** How many of a room's newest events are looked through. */
const LOOKED_AT = 1_000;

/**
 * By what clients order rooms: the positions of the newest events that somebody has said something by. A room
 * without any lately has none.
 */
export const bumpStampsOf = newestPositions(
  ({ type }) => BUMPS.has(type),
  async (hs, roomKeys) => {
    const rows = await hs.sql<{ room_key: number; anchor: number }[]>`
      select asked.room_key, found.anchor from unnest(${roomKeys}::bigint[]) as asked (room_key)
      cross join lateral (
        select anchor from (
          select anchor, type from events
          where events.room_key = asked.room_key and status = 0 and anchor is not null
          order by anchor desc, anchor_offset desc limit ${LOOKED_AT}) as newest
        where type = any(${BUMPING}::text[]) limit 1) as found`;
    return new Map(rows.map((it) => [it.room_key, it.anchor]));
  },
);
