import type { Queryable } from "#src/homeserver/database.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import type { Place } from "./token.ts";

/** The most that a bigint holds: after every event. */
const END = "9223372036854775807";

/** From where to where it is read, and how many events at most. */
type PageOf = {
  readonly from: Place | undefined;
  readonly to: Place | undefined;
  readonly limit: number;
};

/** An event on a page, and what saves asking further. */
export type PageRow = {
  readonly event_key: number;
  readonly anchor: number;
  readonly anchor_offset: number;
  /** Whether something relates to it that is told with it. */
  readonly isRelatedTo: boolean;
  /** Whether there is an event of the room that we have not got. */
  readonly hasHoles: boolean;
};

/**
 * Events of a room in its order, going backwards from one place to another or to the
 * beginning, newest first.
 */
export async function pageBackwards(
  db: Queryable,
  roomKey: number,
  { from, to, limit }: PageOf,
): Promise<readonly PageRow[]> {
  return await db<PageRow[]>`
    select event_key, anchor, anchor_offset,
      exists (select from relations where relates_to = events.event_id
        and rel_type in ('m.thread', 'm.reference', 'm.replace')) as "isRelatedTo",
      exists (select from missing_events where room_key = ${roomKey}) as "hasHoles"
    from events
    where room_key = ${roomKey} and status = 0
      and (anchor, anchor_offset) <= (${from ? String(from.anchor) : END}::bigint, ${from?.offset ?? 0}::int)
      and (anchor, anchor_offset) > (${to?.anchor ?? -1}::bigint, ${to?.offset ?? 0}::int)
    order by anchor desc, anchor_offset desc limit ${limit}`;
}

/** The same forwards, oldest first. */
export async function pageForwards(
  db: Queryable,
  roomKey: number,
  { from, to, limit }: PageOf,
): Promise<readonly PageRow[]> {
  return await db<PageRow[]>`
    select event_key, anchor, anchor_offset,
      exists (select from relations where relates_to = events.event_id
        and rel_type in ('m.thread', 'm.reference', 'm.replace')) as "isRelatedTo",
      exists (select from missing_events where room_key = ${roomKey}) as "hasHoles"
    from events
    where room_key = ${roomKey} and status = 0
      and (anchor, anchor_offset) > (${from?.anchor ?? -1}::bigint, ${from?.offset ?? 0}::int)
      and (anchor, anchor_offset) <= (${to ? String(to.anchor) : END}::bigint, ${to?.offset ?? 0}::int)
    order by anchor, anchor_offset limit ${limit}`;
}

/** When an event was sent, and its place in its room's order. */
export type TimedPlace = { readonly anchor: number; readonly offset: number; readonly ts: number };

/** The first event of a room that stands at a place in its order or after it. */
export async function firstFrom(
  db: Queryable,
  roomKey: number,
  { anchor, offset }: Pick<TimedPlace, "anchor" | "offset">,
): Promise<TimedPlace | undefined> {
  const [row] = await db<TimedPlace[]>`
    select anchor, anchor_offset as offset, origin_server_ts as ts from events
    where room_key = ${roomKey} and status = 0
      and (anchor, anchor_offset) >= (${anchor}::bigint, ${offset}::int)
    order by anchor, anchor_offset limit 1`;
  return row;
}

/** The users of a server of whom a room's state speaks. */
export async function usersOfServerIn(
  db: Queryable,
  roomKey: number,
  server: ServerName,
): Promise<readonly UserId[]> {
  const rows = await db<{ user_id: UserId }[]>`
    select user_id from memberships join users using (user_key)
    where room_key = ${roomKey} and substring(user_id from position(':' in user_id) + 1) = ${server}`;
  return rows.map((it) => it.user_id);
}
