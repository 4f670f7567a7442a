import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { cachedByUser } from "#src/streams/cached-by-user.ts";
import { subscribedRoots } from "./queries-subscriptions.ts";
import { THREAD_SUBSCRIPTIONS } from "./subscriptions-stream.ts";

/** The roots of the threads that a user has subscribed to; the same set until that changes. */
export const subscribedThreadsOf: (
  hs: Homeserver,
  userKey: number,
) => Promise<ReadonlySet<EventId>> = cachedByUser({
  most: 10_000,
  forgottenBy: (change) => change.stream === THREAD_SUBSCRIPTIONS,
  load: async (hs, userKey) => new Set(await subscribedRoots(hs.sql, userKey)),
});
