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

/** Events that were stored in a range of positions, whether or not they have a place in their rooms. */
export async function eventsStoredBetween(
  db: Queryable,
  after: number,
  upTo: number,
): Promise<readonly EventRow[]> {
  return await db<EventRow[]>`
    select events.*, users.user_id as sender
    from events join users on users.user_key = events.sender_key
    where event_key > ${after} and event_key <= ${upTo}
    order by event_key`;
}
