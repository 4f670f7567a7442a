import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { withUnstable } from "#src/http/unstable-paths.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { makeOpenIdToken } from "../openid-tokens.ts";

/** The specification's `openid.yaml`. */
export const openIdEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "requestOpenIdToken",
    method: "POST",
    path: withUnstable("/_matrix/client/v3/user/:userId/openid/request_token"),
    async handle(hs, { requester, params }) {
      if (params["userId"] !== requester.userId) {
        throw new MatrixError("M_FORBIDDEN", "You can have tokens for yourself only");
      }
      return await makeOpenIdToken(hs, requester);
    },
  }),
];
