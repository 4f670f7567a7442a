import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { answerSearch } from "../answer-search.ts";
import { SearchRequest } from "../search-request.ts";

/** The specification's `search.yaml`. */
export const searchEndpoints: readonly Endpoint[] = [
  userEndpoint<SearchRequest>({
    operation: "search",
    method: "POST",
    path: "/_matrix/client/v3/search",
    body: SearchRequest,
    async handle(hs, { requester, query, body }) {
      const { room_events: criteria } = body.search_categories;
      if (!criteria) return { search_categories: {} };
      const nextBatch = query.get("next_batch") ?? undefined;
      const found = await answerSearch(hs, requester, criteria, nextBatch);
      return jsonText(`{"search_categories":{"room_events":${found}}}`);
    },
  }),
];
