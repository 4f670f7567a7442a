import type { Queryable, Sql, Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { advancePlace } from "#src/streams/advance-place.ts";
import type { Place } from "#src/timeline/token.ts";

const FOLLOWER = "search";

/** How far the index has come, and how far the streams have. */
export async function searchProgress(
  hs: Homeserver,
): Promise<{ readonly done: Position; readonly upTo: Position }> {
  const [row] = await hs.sql<{ done: Position; upTo: Position }[]>`
    select coalesce((select position from stream_followers where name = ${FOLLOWER}), 0) as done,
      position as "upTo"
    from positions where id = 1`;
  return row ?? { done: 0, upTo: 0 };
}

/** An event that changes what can be found, by its key, and when it got its place. */
export type Searched = { readonly key: number; readonly at: Position };

/** The next events that the index has to take in. */
export async function nextSearched(
  hs: Homeserver,
  { done, upTo }: { readonly done: Position; readonly upTo: Position },
  limit: number,
): Promise<readonly Searched[]> {
  return await hs.sql<Searched[]>`
    (select event_key as key, event_key as at from events
      where event_key > ${done} and event_key <= ${upTo} and status = 0 and anchor is not null
        and placed_at is null
        and type in ('m.room.message', 'm.room.name', 'm.room.topic', 'm.room.redaction')
      order by event_key limit ${limit})
    union all
    (select event_key, placed_at from events
      where placed_at > ${done} and placed_at <= ${upTo}
        and type in ('m.room.message', 'm.room.name', 'm.room.topic', 'm.room.redaction')
      order by placed_at limit ${limit})
    order by at limit ${limit}`;
}

/** Notes how far the index has come. @returns false if another process has been quicker. */
export async function advanceSearch(
  tx: Tx,
  range: { readonly from: Position; readonly to: Position },
): Promise<boolean> {
  return await advancePlace(tx, FOLLOWER, range);
}

export type SearchEntry = {
  readonly eventKey: number;
  readonly roomKey: number;
  readonly anchor: number;
  readonly anchorOffset: number;
  readonly tokens: readonly string[];
};

/** Separates tokens, which have only letters and digits. */
const BETWEEN = " ";

export async function storeEntries(tx: Tx, entries: readonly SearchEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx`
    insert into search_entries (event_key, room_key, anchor, anchor_offset, tokens)
    select event_key, room_key, anchor, anchor_offset,
      array_to_tsvector(string_to_array(tokens, ${BETWEEN}))
    from unnest(${entries.map((it) => it.eventKey)}::bigint[], ${entries.map((it) => it.roomKey)}::bigint[],
      ${entries.map((it) => it.anchor)}::bigint[], ${entries.map((it) => it.anchorOffset)}::int[],
      ${entries.map((it) => it.tokens.join(BETWEEN))}::text[])
      as new (event_key, room_key, anchor, anchor_offset, tokens)
    on conflict (event_key) do update set tokens = excluded.tokens`;
}

export async function deleteEntries(tx: Tx, eventKeys: readonly number[]): Promise<void> {
  if (eventKeys.length === 0) return;
  await tx`delete from search_entries where event_key = any(${eventKeys}::bigint[])`;
}

/** What is looked for, and where. */
export type EntryQuery = {
  /** As text of a `tsquery`. */
  readonly query: string;
  readonly roomKeys: readonly number[];
  /** Entries after this place are passed over. */
  readonly from: Place | undefined;
  readonly limit: number;
};

export type FoundEntry = {
  readonly event_key: number;
  readonly anchor: number;
  readonly anchor_offset: number;
};

/** The most that a bigint holds: after every event. */
const END = "9223372036854775807";

/**
 * Which part of all entries is in some rooms, about: by how many messages each has had, and how many entries PostgreSQL has
 * counted last. All of them, where it has not counted yet.
 */
export async function shareOf(db: Queryable, roomKeys: readonly number[]): Promise<number> {
  const [row] = await db<{ own: number; all: number }[]>`
    select coalesce(sum(ordinal), 0)::float as own,
      (select reltuples::float from pg_class where oid = 'search_entries'::regclass) as all
    from rooms where room_key = any(${roomKeys}::bigint[])`;
  return row && row.all > 0 ? row.own / row.all : 1;
}

/** The newest entries that match, as far as they are among the newest of all, of which so many are looked through. */
export async function newestEntries(
  db: Queryable,
  { query, roomKeys, from, limit }: EntryQuery,
  lookThrough: number,
): Promise<readonly FoundEntry[]> {
  return await db<FoundEntry[]>`
    select event_key, anchor, anchor_offset from (
      select * from search_entries
      where (anchor, anchor_offset) <= (${from ? String(from.anchor) : END}::bigint, ${from?.offset ?? 0}::int)
      order by anchor desc, anchor_offset desc limit ${lookThrough}) as newest
    where room_key = any(${roomKeys}::bigint[]) and tokens @@ ${query}::tsquery
    order by anchor desc, anchor_offset desc limit ${limit}`;
}

/** The newest entries that match, by the index of tokens. */
export async function indexedEntries(
  db: Sql,
  { query, roomKeys, from, limit }: EntryQuery,
): Promise<readonly FoundEntry[]> {
  return await db.begin(async (tx) => {
    // This kind of index is read in no other way; see `database.ts`.
    await tx`set local enable_bitmapscan = on`;
    return await tx<FoundEntry[]>`
      with found as materialized (
        select event_key, anchor, anchor_offset from search_entries
        where tokens @@ ${query}::tsquery and room_key = any(${roomKeys}::bigint[])
      )
      select * from found
      where (anchor, anchor_offset) <= (${from ? String(from.anchor) : END}::bigint, ${from?.offset ?? 0}::int)
      order by anchor desc, anchor_offset desc limit ${limit}`;
  });
}

/** Events before and after others in their rooms. */
export type Around = {
  readonly of: number;
  readonly event_key: number;
  readonly side: "before" | "after";
};

/** What is around events, nearest first, with one query for all. */
export async function eventsAround(
  db: Queryable,
  events: readonly {
    readonly eventKey: number;
    readonly roomKey: number;
    readonly anchor: number | undefined;
    readonly anchorOffset: number;
  }[],
  { before, after }: { readonly before: number; readonly after: number },
): Promise<readonly Around[]> {
  return await db<Around[]>`
    select asked.event_key as of, near.event_key, near.side
    from unnest(${events.map((it) => it.eventKey)}::bigint[], ${events.map((it) => it.roomKey)}::bigint[],
      ${events.map((it) => it.anchor ?? 0)}::bigint[], ${events.map((it) => it.anchorOffset)}::int[])
      with ordinality as asked (event_key, room_key, anchor, anchor_offset, index)
    cross join lateral (
      (select event_key, 'before' as side, row_number() over () as nth from (
        select event_key from events
        where room_key = asked.room_key and status = 0
          and (anchor, anchor_offset) < (asked.anchor, asked.anchor_offset)
        order by anchor desc, anchor_offset desc limit ${before}) as older)
      union all
      (select event_key, 'after', row_number() over () from (
        select event_key from events
        where room_key = asked.room_key and status = 0
          and (anchor, anchor_offset) > (asked.anchor, asked.anchor_offset)
        order by anchor, anchor_offset limit ${after}) as newer)
    ) as near
    order by asked.index, near.side, near.nth`;
}
