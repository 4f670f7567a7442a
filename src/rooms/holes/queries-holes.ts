import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { EventId } from "#src/kit/identifiers.ts";

/** A hole: an event that we have not got, and one that follows it. */
export type Hole = {
  readonly missingId: EventId;
  readonly eventKey: number;
  /** The place of the one that follows; null if it waits for one until the hole is filled. */
  readonly anchor: number | null;
  readonly anchorOffset: number;
  /** How often it has been tried to fill it, this time included. */
  readonly failures: number;
};

/** The depth from which on this server has been in a room: 0 if the room began here, or that cannot be said. */
export async function depthOfComing(db: Queryable, roomKey: number): Promise<number> {
  const [row] = await db<{ depth: number }[]>`
    select came_depth as depth from rooms where room_key = ${roomKey}`;
  return row?.depth ?? 0;
}

/** The rooms with holes that are to be filled by themselves, and are due to be. */
export async function roomsWithHoles(
  db: Queryable,
  now: UnixMs,
  most: number,
): Promise<readonly number[]> {
  const rows = await db<{ room_key: number }[]>`
    select room_key from missing_events as hole where owed and due_ms <= ${now}
      and not exists (${thatWaits(db)})
    group by room_key order by min(due_ms) limit ${most}`;
  return rows.map((it) => it.room_key);
}

/**
 * The event that is missing in `hole`, if it is here and waits itself. Not to be joined to the holes, as their number is no guide
 * to how many events have no place.
 */
function thatWaits(db: Queryable) {
  return db`
    select from events as known
    where known.event_id = hole.missing_id and known.anchor is null
      and exists (select from missing_events as its where its.event_key = known.event_key offset 0)
    offset 0`;
}

/** When a hole is tried again: at once at first, since most outages are short, and once a day in the end. */
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 24 * 60 * 60 * 1000;

export type Claim = {
  readonly roomKey: number;
  readonly now: UnixMs;
  readonly most: number;
  /** Those of some events only, whether or not they are to be filled by themselves. */
  readonly of?: readonly number[];
};

/**
 * Takes those holes of a room that are due in hand: nobody else tries them for a while. What only waits for
 * an event that waits itself is left out.
 */
export async function claimHoles(
  db: Queryable,
  { roomKey, now, most, of }: Claim,
): Promise<readonly Hole[]> {
  return await db<Hole[]>`
    update missing_events set failures = failures + 1,
      due_ms = ${now} + least(${FIRST_RETRY_MS} * 2 ^ least(failures, 20), ${LAST_RETRY_MS})::bigint
    from (
      select missing_id, event_key, anchor, anchor_offset
      from missing_events as hole join events using (event_key)
      where hole.room_key = ${roomKey} and due_ms <= ${now}
        and (${of === undefined}::bool and owed or event_key = any(${of ?? []}::bigint[]))
        and not exists (${thatWaits(db)})
      order by anchor desc nulls first, anchor_offset desc limit ${most}
    ) as due
    where missing_events.missing_id = due.missing_id and missing_events.event_key = due.event_key
    returning due.missing_id as "missingId", due.event_key as "eventKey", due.anchor,
      due.anchor_offset as "anchorOffset", failures`;
}
