import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { newestSubscriptions, type NamedSubscription } from "./queries-subscriptions.ts";

/** Changes of a user's subscriptions, as they go over the wire: room ID → root → what it is now. */
export type SubscriptionChanges = {
  readonly subscribed?: Readonly<Record<string, object>>;
  readonly unsubscribed?: Readonly<Record<string, object>>;
};

/**
 * A user's newest changes of subscriptions in a range of positions.
 *
 * @returns them; and, if there are older ones, the position up to which these are.
 */
export async function subscriptionChanges(
  hs: Homeserver,
  userKey: number,
  { after, upTo, limit }: { after: Position; upTo: Position; limit: number },
): Promise<{ changes: SubscriptionChanges; olderUpTo: Position | undefined }> {
  const rows = await newestSubscriptions(hs.sql, userKey, { after, upTo, limit: limit + 1 });
  const told = rows.slice(0, limit);
  const subscribed = byRoom(told.filter((it) => it.subscribed));
  const unsubscribed = byRoom(told.filter((it) => !it.subscribed));
  return {
    changes: { ...(subscribed && { subscribed }), ...(unsubscribed && { unsubscribed }) },
    olderUpTo: rows[limit]?.position,
  };
}

function byRoom(rows: readonly NamedSubscription[]): Record<string, object> | undefined {
  if (rows.length === 0) return undefined;
  return Object.fromEntries(
    [...Map.groupBy(rows, (it) => it.roomId)].map(([roomId, its]) => [
      roomId,
      Object.fromEntries(its.map((it) => [it.rootId, wireOf(it)])),
    ]),
  );
}

function wireOf({ subscribed, automatic, position }: NamedSubscription): object {
  return { ...(subscribed && { automatic }), bump_stamp: position };
}
