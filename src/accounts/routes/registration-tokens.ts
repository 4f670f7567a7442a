import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { checkRegistrationToken } from "../register.ts";

/** The specification's `registration_tokens.yaml`: whether one could register with a token. */
export const registrationTokenEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "registrationTokenValidity",
    method: "GET",
    path: "/_matrix/client/v1/register/m.login.registration_token/validity",
    auth: "none",
    rate: "register",
    async handle(hs, { query }) {
      const token = query.get("token");
      if (token === null) throw new MatrixError("M_MISSING_PARAM", "Missing token");
      return { valid: await checkRegistrationToken(hs, token) };
    },
  }),
];
