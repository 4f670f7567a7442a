import { userOfOpenIdToken } from "#src/accounts/openid-tokens.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** The specification's `openid.yaml`: who a user is, for whoever has got a token of theirs. */
export const userInfoEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1openiduserinfo */
  openEndpoint({
    operation: "exchangeOpenIdToken",
    method: "GET",
    path: "/_matrix/federation/v1/openid/userinfo",
    auth: "none",
    async handle(hs, { query }) {
      const token = query.get("access_token");
      if (token === null) throw new MatrixError("M_MISSING_TOKEN", "access_token is needed");
      const sub = await userOfOpenIdToken(hs, token);
      if (sub === undefined) {
        throw new MatrixError("M_UNKNOWN_TOKEN", "The token is unknown or has expired");
      }
      return { sub };
    },
  }),
];
