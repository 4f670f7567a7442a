import { z } from "zod";
import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { Filter } from "../filter.ts";
import { defineFilter, findFilter } from "../stored-filters.ts";

/** Checked as a filter, and kept as it was sent: what we do not know of it is the client's. */
const FilterBody = z.unknown().superRefine((body, context) => {
  for (const issue of Filter.safeParse(body).error?.issues ?? []) {
    context.addIssue({ code: "custom", message: issue.message, path: issue.path });
  }
});

/** The specification's `filter.yaml`. */
export const filterEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "defineFilter",
    method: "POST",
    path: "/_matrix/client/v3/user/:userId/filter",
    guests: true,
    body: FilterBody,
    async handle(hs, { requester, params, body }) {
      checkSelf(requester, params["userId"]);
      return { filter_id: await defineFilter(hs, requester.userKey, body) };
    },
  }),
  userEndpoint({
    operation: "getFilter",
    method: "GET",
    path: "/_matrix/client/v3/user/:userId/filter/:filterId",
    guests: true,
    async handle(hs, { requester, params }) {
      checkSelf(requester, params["userId"]);
      const stored = await findFilter(hs, requester.userKey, params["filterId"] ?? "");
      if (!stored) throw new MatrixError("M_NOT_FOUND", "No such filter");
      return jsonText(stored.json);
    },
  }),
];

/** Filters are everybody's own. */
function checkSelf(requester: Requester, userId: string | undefined): void {
  if (requester.userId !== userId) {
    throw new MatrixError("M_FORBIDDEN", "The filters of other users are not yours");
  }
}
