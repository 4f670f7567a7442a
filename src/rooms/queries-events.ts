import type { Queryable } from "#src/homeserver/database.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { EventRow } from "./stored-event.ts";

export async function eventsByKeys(
  db: Queryable,
  eventKeys: readonly number[],
): Promise<readonly EventRow[]> {
  return await db<EventRow[]>`
    select events.*, users.user_id as sender
    from events join users on users.user_key = events.sender_key
    where event_key = any(${eventKeys}::bigint[])`;
}

export async function eventsByIds(
  db: Queryable,
  eventIds: readonly EventId[],
): Promise<readonly EventRow[]> {
  return await db<EventRow[]>`
    select events.*, users.user_id as sender
    from events join users on users.user_key = events.sender_key
    where event_id = any(${eventIds}::text[])`;
}

/** The keys of events and of all in their auth chains, down to some key. */
export async function authChainKeys(
  db: Queryable,
  eventKeys: readonly number[],
  oldest: number,
): Promise<readonly number[]> {
  const rows = await db<{ event_key: number }[]>`
    with recursive chain (event_key) as (
      select unnest(${eventKeys}::bigint[])
      union
      select cited.event_key from chain join events using (event_key),
        unnest(events.auth_keys) as cited (event_key)
      where cited.event_key >= ${oldest}
    )
    select event_key from chain`;
  return rows.map((it) => it.event_key);
}

/** Events that got their places in their rooms in a range of positions, and when. */
export async function eventsPlacedBetween(
  db: Queryable,
  after: number,
  upTo: number,
): Promise<readonly (EventRow & { readonly at: number })[]> {
  return await db<(EventRow & { at: number })[]>`
    select placed.*, users.user_id as sender from (
      select *, event_key as at from events
      where event_key > ${after} and event_key <= ${upTo} and anchor = event_key
      union all
      select *, placed_at from events where placed_at > ${after} and placed_at <= ${upTo}
    ) as placed join users on users.user_key = placed.sender_key
    order by at`;
}
