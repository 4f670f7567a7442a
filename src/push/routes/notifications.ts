import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import { listNotifications } from "../list-notifications.ts";

const STANDARD_LIMIT = 20;
const MOST = 100;

/** The specification's `notifications.yaml`: what the user has been told of. */
export const notificationEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getNotifications",
    method: "GET",
    path: "/_matrix/client/v3/notifications",
    rate: "search",
    async handle(hs, { requester, query }) {
      const limit = numberIn(query, "limit") ?? STANDARD_LIMIT;
      const { notifications, next } = await listNotifications(hs, requester, {
        before: numberIn(query, "from"),
        limit: Math.min(Math.max(limit, 1), MOST),
        onlyHighlights: query.get("only")?.split(",").includes("highlight") ?? false,
      });
      const token = next === undefined ? "" : `,"next_token":"${next}"`;
      return jsonText(`{"notifications":[${notifications.join(",")}]${token}}`);
    },
  }),
];

/** @throws MatrixError M_INVALID_PARAM */
function numberIn(query: URLSearchParams, name: string): number | undefined {
  return query.get(name) ? wholeNumber(query, name) : undefined;
}
