import { z } from "zod";
import {
  deleteRegistrationToken,
  makeRegistrationToken,
  type RegistrationToken,
  registrationTokens,
} from "#src/auth/registration-tokens.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";

const PATH = "/_synapse/admin/v1/registration_tokens";

/** Giving out registration tokens, as administrators' tools know it from Synapse. */
export const registrationTokenAdminEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "listRegistrationTokens",
    method: "GET",
    path: PATH,
    async handle(hs, { requester }) {
      requireAdmin(requester);
      return { registration_tokens: (await registrationTokens(hs)).map(wireOf) };
    },
  }),
  userEndpoint({
    operation: "makeRegistrationToken",
    method: "POST",
    path: `${PATH}/new`,
    body: z.object({
      token: z.string().nullish(),
      uses_allowed: z.int().min(0).max(1_000_000_000).nullish(),
      expiry_time: z.int().min(0).nullish(),
    }),
    async handle(hs, { requester, body }) {
      requireAdmin(requester);
      const made = await makeRegistrationToken(hs, {
        token: body.token ?? undefined,
        usesAllowed: body.uses_allowed,
        expiresAtMs: body.expiry_time,
      });
      return wireOf(made);
    },
  }),
  userEndpoint({
    operation: "deleteRegistrationToken",
    method: "DELETE",
    path: `${PATH}/:token`,
    async handle(hs, { requester, params }) {
      requireAdmin(requester);
      if (await deleteRegistrationToken(hs, params["token"] ?? "")) return {};
      throw new MatrixError("M_NOT_FOUND", "There is no such registration token");
    },
  }),
];

function wireOf(it: RegistrationToken) {
  return {
    token: it.token,
    uses_allowed: it.usesAllowed,
    // A token is used up when the account is made, so none is ever on its way.
    pending: 0,
    completed: it.usesCompleted,
    expiry_time: it.expiresAtMs,
  };
}

function requireAdmin(requester: Requester): void {
  if (!requester.isAdmin) throw new MatrixError("M_FORBIDDEN", "You are no administrator");
}
