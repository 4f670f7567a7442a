import { z } from "zod";
import { refreshTokens } from "#src/auth/issue-tokens.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";

/** The specification's `refresh.yaml`: the next pair of tokens. */
export const refreshEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "refresh",
    method: "POST",
    path: "/_matrix/client/v3/refresh",
    auth: "none",
    body: z.object({ refresh_token: z.string() }),
    handle: async (hs, { body }) => await refreshTokens(hs, body.refresh_token),
  }),
];
