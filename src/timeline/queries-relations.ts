import type { Queryable } from "#src/homeserver/database.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Place } from "./token.ts";

export type RelatedRow = {
  readonly event_key: number;
  readonly anchor: number;
  readonly anchor_offset: number;
};

/** What is asked for of the events that relate to one. */
export type RelatedQuery = {
  readonly roomKey: number;
  readonly eventId: EventId;
  readonly relType: string | undefined;
  readonly type: string | undefined;
  /** How far relations of relations are followed. */
  readonly depth: number;
  readonly direction: "b" | "f";
  readonly from: Place | undefined;
  readonly to: Place | undefined;
  readonly limit: number;
};

/** The most that a bigint holds: after every event. */
const END = { anchor: "9223372036854775807", offset: 0 };
const BEGINNING = { anchor: -1, offset: 0 };

/** Some events that relate to one, in the room's order or against it. */
export async function relatedRows(
  db: Queryable,
  query: RelatedQuery,
): Promise<readonly RelatedRow[]> {
  const { roomKey, eventId, relType, type, direction, limit } = query;
  const [after, upTo] =
    direction === "b" ? [query.to, query.from] : ([query.from, query.to] as const);
  const start = after ?? BEGINNING;
  const end = upTo ?? END;
  return await db<RelatedRow[]>`
    ${query.depth > 1 ? relatedByOthers(db, query) : db``}
    select event_key, anchor, anchor_offset from relations
    where ${
      query.depth > 1
        ? db`event_key in (select event_key from related)`
        : db`relates_to = ${eventId} and room_key = ${roomKey}`
    }
      ${relType === undefined ? db`` : db`and rel_type = ${relType}`}
      ${type === undefined ? db`` : db`and type = ${type}`}
      and (anchor, anchor_offset) > (${String(start.anchor)}::bigint, ${start.offset}::int)
      and (anchor, anchor_offset) <= (${String(end.anchor)}::bigint, ${end.offset}::int)
    order by ${direction === "b" ? db`anchor desc, anchor_offset desc` : db`anchor, anchor_offset`}
    limit ${limit}`;
}

/** The relations of an event, theirs, and so on. In old room versions they may go round: each counts once. */
function relatedByOthers(db: Queryable, { roomKey, eventId, depth }: RelatedQuery) {
  return db`
    with recursive related (event_key, depth) as (
      select event_key, 1 from relations where relates_to = ${eventId} and room_key = ${roomKey}
      union
      select relations.event_key, related.depth + 1
      from related join events using (event_key)
      join relations on relates_to = events.event_id and relations.room_key = ${roomKey}
      where related.depth < ${depth}
    )`;
}

export type ThreadRow = {
  readonly root: EventId;
  readonly anchor: number;
  readonly anchor_offset: number;
};

/** The threads of a room, that whose last event is the newest first, and where that stands. */
export async function threadRows(
  db: Queryable,
  {
    roomKey,
    from,
    until,
    limit,
    not,
    withUser,
  }: {
    readonly roomKey: number;
    readonly from: Place | undefined;
    /** What was said after this does not count. */
    readonly until: Place | undefined;
    readonly limit: number;
    /** The keys of users whose events do not count. */
    readonly not: readonly number[];
    /** The key of a user who takes part in all of them, if only those are asked for. */
    readonly withUser: number | undefined;
  },
): Promise<readonly ThreadRow[]> {
  const end = from ?? END;
  const endOfAll = until ?? END;
  return await db<ThreadRow[]>`
    select last.relates_to as root, last.anchor, last.anchor_offset from relations as last
    where last.room_key = ${roomKey} and last.rel_type = 'm.thread'
      and (last.anchor, last.anchor_offset) <= (${String(end.anchor)}::bigint, ${end.offset}::int)
      and last.sender_key <> all(${not}::bigint[])
      and not exists (
        select from relations as later
        where later.relates_to = last.relates_to and later.rel_type = 'm.thread'
          and later.room_key = ${roomKey} and later.sender_key <> all(${not}::bigint[])
          and (later.anchor, later.anchor_offset) > (last.anchor, last.anchor_offset)
          and (later.anchor, later.anchor_offset)
            <= (${String(endOfAll.anchor)}::bigint, ${endOfAll.offset}::int))
      ${
        withUser === undefined
          ? db``
          : db`and (
              exists (
                select from relations as own
                where own.relates_to = last.relates_to and own.rel_type = 'm.thread'
                  and own.room_key = ${roomKey} and own.sender_key = ${withUser})
              or exists (
                select from events as root
                where root.event_id = last.relates_to and root.sender_key = ${withUser}))`
      }
    order by last.anchor desc, last.anchor_offset desc limit ${limit}`;
}
