import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";

export type SubscriptionRow = {
  readonly userKey: number;
  readonly rootKey: number;
  readonly roomKey: number;
  readonly subscribed: boolean;
  readonly automatic: boolean;
  readonly position: Position;
};

export async function subscriptionsAt(
  sql: Queryable,
  keys: readonly Pick<SubscriptionRow, "userKey" | "rootKey">[],
): Promise<SubscriptionRow[]> {
  return await sql<SubscriptionRow[]>`
    select user_key as "userKey", root_key as "rootKey", room_key as "roomKey", subscribed, automatic,
      position
    from thread_subscriptions join unnest(${keys.map((it) => it.userKey)}::bigint[],
      ${keys.map((it) => it.rootKey)}::bigint[]) as wanted (user_key, root_key)
      using (user_key, root_key)`;
}

/** Each of a user's threads at most once. */
export async function upsertSubscriptions(
  lane: Tx,
  rows: readonly SubscriptionRow[],
): Promise<void> {
  await lane`
    insert into thread_subscriptions
      (user_key, root_key, room_key, subscribed, automatic, position)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]), unnest(${rows.map((it) => it.rootKey)}::bigint[]),
      unnest(${rows.map((it) => it.roomKey)}::bigint[]),
      unnest(${rows.map((it) => String(it.subscribed))}::text[]::boolean[]),
      unnest(${rows.map((it) => String(it.automatic))}::text[]::boolean[]),
      unnest(${rows.map((it) => it.position)}::bigint[])
    on conflict (user_key, root_key) do update set subscribed = excluded.subscribed,
      automatic = excluded.automatic, position = excluded.position`;
}

export async function subscriptionsBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<SubscriptionRow[]> {
  return await sql<SubscriptionRow[]>`
    select user_key as "userKey", root_key as "rootKey", room_key as "roomKey", subscribed, automatic,
      position
    from thread_subscriptions where position > ${after} and position <= ${upTo}`;
}

/** A subscription as its user sees it. */
export type NamedSubscription = Pick<SubscriptionRow, "subscribed" | "automatic" | "position"> & {
  readonly roomId: RoomId;
  readonly rootId: EventId;
};

/** A user's newest changes of subscriptions in a range of positions, the newest first. */
export async function newestSubscriptions(
  sql: Queryable,
  userKey: number,
  { after, upTo, limit }: { after: Position; upTo: Position; limit: number },
): Promise<NamedSubscription[]> {
  return await sql<NamedSubscription[]>`
    select room_id as "roomId", event_id as "rootId", subscribed, automatic, position
    from thread_subscriptions join rooms using (room_key) join events on event_key = root_key
    where user_key = ${userKey} and position > ${after} and position <= ${upTo}
    order by position desc limit ${limit}`;
}

/** The roots of the threads that a user has subscribed to. */
export async function subscribedRoots(sql: Queryable, userKey: number): Promise<EventId[]> {
  const rows = await sql<{ event_id: EventId }[]>`
    select event_id from thread_subscriptions join events on event_key = root_key
    where user_key = ${userKey} and subscribed`;
  return rows.map((it) => it.event_id);
}

export async function deleteSubscriptions(sql: Queryable, userKey: number): Promise<void> {
  await sql`delete from thread_subscriptions where user_key = ${userKey}`;
}
