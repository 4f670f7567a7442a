import type { Queryable } from "#src/homeserver/database.ts";
import type { ReadMark } from "#src/rooms/room-reads.ts";

/** How far a user has read; of rooms that nothing is recorded of, up to the event by which they came in. */
export async function readMarksOfUser(
  db: Queryable,
  userKey: number,
): Promise<readonly ReadMark[]> {
  return await db<ReadMark[]>`
    select user_key as "userKey", room_key as "roomKey", thread, anchor, ordinal
    from room_reads where user_key = ${userKey}
    union all
    select memberships.user_key, memberships.room_key, '', events.event_key, events.ordinal
    from memberships join events using (event_key)
    where memberships.user_key = ${userKey} and membership = 'join' and not exists (
      select from room_reads where room_reads.user_key = memberships.user_key
        and room_reads.room_key = memberships.room_key and thread = '')`;
}

/** How many events have counted as unread in rooms, by the rooms' keys. */
export async function ordinalsOfRooms(
  db: Queryable,
  roomKeys: readonly number[],
): Promise<readonly { roomKey: number; ordinal: number }[]> {
  return await db<{ roomKey: number; ordinal: number }[]>`
    select room_key as "roomKey", ordinal from rooms where room_key = any(${roomKeys}::bigint[])`;
}

export type ThreadedRow = {
  readonly roomKey: number;
  readonly eventKey: number;
  readonly ordinal: number;
  readonly root: string;
};

/** Of each room the newest events that are in threads, in order. */
export async function threadedInRooms(
  db: Queryable,
  roomKeys: readonly number[],
  most: number,
): Promise<readonly ThreadedRow[]> {
  return await db<ThreadedRow[]>`
    select newest.room_key as "roomKey", event_key as "eventKey", ordinal, root
    from unnest(${roomKeys}::bigint[]) as wanted (room_key) cross join lateral (
      select * from threaded_events where threaded_events.room_key = wanted.room_key
      order by event_key desc limit ${most}) as newest
    order by event_key`;
}

export type HighlightRow = {
  readonly roomKey: number;
  readonly userKey: number;
  readonly eventKey: number;
};

/** What is to be highlighted in rooms after an event, for whomever, in order. */
export async function highlightsInRooms(
  db: Queryable,
  roomKeys: readonly number[],
  after: number,
): Promise<readonly HighlightRow[]> {
  return await db<HighlightRow[]>`
    select room_key as "roomKey", user_key as "userKey", event_key as "eventKey"
    from highlights where room_key = any(${roomKeys}::bigint[]) and event_key > ${after}
    order by event_key`;
}

/** The newest events of a room after one, newest first: those that members were shown as they came. */
export async function newestEventKeys(
  db: Queryable,
  roomKey: number,
  { after, most }: { readonly after: number; readonly most: number },
): Promise<readonly number[]> {
  const rows = await db<{ event_key: number }[]>`
    select event_key from events
    where room_key = ${roomKey} and anchor > ${after} and anchor_offset = 0 and status = 0
    order by anchor desc limit ${most}`;
  return rows.map((it) => it.event_key);
}

/** An event of one of a user's rooms, and where it stands in the order of all. */
export type EventInRooms = {
  readonly roomKey: number;
  readonly eventKey: number;
  readonly position: number;
};

/** The newest events that others have sent in the rooms that a user is in or invited to, newest first. */
export async function newestInRoomsOf(
  db: Queryable,
  userKey: number,
  { before, most }: { readonly before?: number | undefined; readonly most: number },
): Promise<readonly EventInRooms[]> {
  const end = before ?? Number.MAX_SAFE_INTEGER;
  return await db<EventInRooms[]>`
    select newest.room_key as "roomKey", newest.event_key as "eventKey", anchor as position
    from memberships cross join lateral (
      select * from events
      where events.room_key = memberships.room_key and anchor < ${end} and anchor_offset = 0
        and status = 0 and sender_key <> ${userKey}
        and (membership = 'join' or events.event_key = memberships.event_key)
      order by anchor desc limit ${most}) as newest
    where memberships.user_key = ${userKey} and membership in ('join', 'invite')
    order by anchor desc limit ${most}`;
}

/**
 * Those of some rooms in which something may have changed what a user has not read, after a position: all
 * of them, if the user has changed their push rules or whom they ignore.
 */
export async function roomsMovedAfter(
  db: Queryable,
  userKey: number,
  roomKeys: readonly number[],
  after: number,
): Promise<readonly number[]> {
  const rows = await db<{ room_key: number }[]>`
    select room_key from rooms
    where room_key = any(${roomKeys}::bigint[]) and last_position > ${after}
    union
    select room_key from receipts
    where user_key = ${userKey} and position > ${after} and room_key = any(${roomKeys}::bigint[])
    union
    select room_key from unnest(${roomKeys}::bigint[]) as room (room_key)
    where exists (select from push_rules where user_key = ${userKey} and position > ${after})
      or exists (
        select from account_data where user_key = ${userKey} and room_key = 0
          and type = 'm.ignored_user_list' and position > ${after})`;
  return rows.map((it) => it.room_key);
}

/**
 * Removes highlights that nobody needs any more: that are read, whose user has left the room, or that are
 * older than an event. Those for everyone stay until all local members have read so far.
 *
 * @returns how many went.
 */
export async function deleteReadHighlights(
  db: Queryable,
  { olderThan, limit }: { readonly olderThan: number; readonly limit: number },
): Promise<number> {
  const gone = await db`
    with placed as (
      select highlights.*, case rel_type when 'm.thread' then relates_to
        else case when rel_type is null then 'main' else '' end end as thread
      from highlights left join relations using (room_key, event_key)
    )
    delete from highlights where (user_key, room_key, event_key) in (
      select user_key, room_key, event_key from placed
      where event_key < ${olderThan} or not exists (
        select from memberships
        where memberships.room_key = placed.room_key and membership = 'join' and local
          and placed.user_key in (0, memberships.user_key) and not exists (
            select from room_reads
            where room_reads.user_key = memberships.user_key
              and room_reads.room_key = placed.room_key
              and room_reads.thread in ('', placed.thread) and anchor >= placed.event_key))
      limit ${limit})`;
  return gone.count;
}

/** The last event that was stored before a time, by the clocks of those who sent them; 0 if there is none. */
export async function lastEventBefore(db: Queryable, timeMs: number): Promise<number> {
  const [row] = await db<{ event_key: number }[]>`
    select event_key from highlights join events using (event_key)
    where origin_server_ts < ${timeMs} order by event_key desc limit 1`;
  return row?.event_key ?? 0;
}

/** Forgets how far a user has read, and what was to be highlighted for them. */
export async function deleteReads(db: Queryable, userKey: number): Promise<void> {
  await db`
    with highlights_gone as (delete from highlights where user_key = ${userKey})
    delete from room_reads where user_key = ${userKey}`;
}
