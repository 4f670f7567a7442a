import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { type EventId, parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import { placeOf, tokenOf } from "#src/timeline/token.ts";
import { subscriptionChanges } from "../list-subscriptions.ts";
import { readSubscription, subscribe, type ThreadName, unsubscribe } from "../subscribe.ts";

const PATH =
  "/_matrix/client/unstable/io.element.msc4306/rooms/:roomId/thread/:threadRootId/subscription";

const LIMITS = { standard: 100, most: 100 };

/** MSC4306, and the list of MSC4308. */
export const threadSubscriptionEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getThreadSubscription",
    method: "GET",
    path: PATH,
    async handle(hs, { requester, params }) {
      return await readSubscription(hs, requester, threadNameOf(params));
    },
  }),
  userEndpoint({
    operation: "putThreadSubscription",
    method: "PUT",
    path: PATH,
    body: z.object({ automatic: z.string().optional() }),
    async handle(hs, { requester, params, body }) {
      await subscribe(hs, requester, threadNameOf(params), causeOf(body.automatic));
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteThreadSubscription",
    method: "DELETE",
    path: PATH,
    async handle(hs, { requester, params }) {
      await unsubscribe(hs, requester, threadNameOf(params));
      return {};
    },
  }),
  userEndpoint({
    operation: "getThreadSubscriptions",
    method: "GET",
    path: "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions",
    async handle(hs, { requester, query }) {
      if (query.get("dir") !== "b") throw new MatrixError("M_INVALID_PARAM", "dir must be b");
      const from = query.get("from");
      const to = query.get("to");
      const { changes, olderUpTo } = await subscriptionChanges(hs, requester.userKey, {
        after: to ? placeOf(to).anchor : 0,
        upTo: from ? placeOf(from).anchor : Number.MAX_SAFE_INTEGER,
        limit: limitOf(query),
      });
      return {
        ...changes,
        ...(olderUpTo !== undefined && { end: tokenOf({ anchor: olderUpTo, offset: 0 }) }),
      };
    },
  }),
];

function threadNameOf(params: Readonly<Record<string, string>>): ThreadName {
  return {
    roomId: parseRoomId(params["roomId"] ?? ""),
    rootId: parseEventId(params["threadRootId"] ?? ""),
  };
}

function causeOf(eventId: string | undefined): EventId | undefined {
  return eventId === undefined ? undefined : parseEventId(eventId);
}

/** @throws MatrixError M_INVALID_PARAM */
function limitOf(query: URLSearchParams): number {
  const limit = wholeNumber(query, "limit") ?? LIMITS.standard;
  if (limit === 0) throw new MatrixError("M_INVALID_PARAM", "limit must be above 0");
  return Math.min(limit, LIMITS.most);
}
