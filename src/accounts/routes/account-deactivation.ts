import { z } from "zod";
import { AuthData } from "#src/auth/auth-data.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { deactivateAccount } from "../deactivate-account.ts";
import { requireOwner } from "../require-owner.ts";

/** The specification's `account_deactivation.yaml`: ending an account. */
export const deactivationEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "deactivateAccount",
    method: "POST",
    path: "/_matrix/client/v3/account/deactivate",
    auth: "optional",
    rate: "login",
    body: z.object({ auth: AuthData.optional(), erase: z.boolean().nullish() }),
    async handle(hs, call) {
      const owner = await requireOwner(hs, call, "deactivateAccount");
      await deactivateAccount(hs, owner, { erase: call.body.erase ?? false });
      // No account here has addresses of other kinds, so none is bound to an identity server.
      return { id_server_unbind_result: "success" };
    },
  }),
];
