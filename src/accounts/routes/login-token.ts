import { z } from "zod";
import { AuthData } from "#src/auth/auth-data.ts";
import { makeOneTimeToken } from "#src/auth/one-time-tokens.ts";
import { requireUserInteractive } from "#src/auth/user-interactive.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";

const LIFETIME_MS = 120_000;

/** The specification's `login_token.yaml`: letting another client log in. */
export const loginTokenEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "generateLoginToken",
    method: "POST",
    path: "/_matrix/client/v1/login/get_token",
    rate: "login",
    body: z.object({ auth: AuthData.optional() }),
    async handle(hs, call) {
      await requireUserInteractive(hs, call, { operation: "generateLoginToken" });
      const { userKey } = call.requester;
      return {
        login_token: await makeOneTimeToken(hs, "login", { userKey, lifetimeMs: LIFETIME_MS }),
        expires_in_ms: LIFETIME_MS,
      };
    },
  }),
];
