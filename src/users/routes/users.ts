import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { searchUserDirectory } from "../search-directory.ts";

const MOST_RESULTS = 50;

/** The specification's `users.yaml`: finding users by what they are called. */
export const userDirectoryEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "searchUserDirectory",
    method: "POST",
    path: "/_matrix/client/v3/user_directory/search",
    rate: "search",
    body: z.object({ search_term: z.string().max(500), limit: z.int().min(0).default(10) }),
    async handle(hs, { requester, body }) {
      const limit = Math.min(body.limit, MOST_RESULTS);
      return await searchUserDirectory(hs, requester.userKey, { term: body.search_term, limit });
    },
  }),
];
