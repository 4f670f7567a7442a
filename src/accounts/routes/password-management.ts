import { z } from "zod";
import { AuthData } from "#src/auth/auth-data.ts";
import { requireGoodPassword } from "#src/auth/password-hash.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { changePassword } from "../change-password.ts";
import { requireOwner } from "../require-owner.ts";

/** The specification's `password_management.yaml`: another password. */
export const passwordEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "changePassword",
    method: "POST",
    path: "/_matrix/client/v3/account/password",
    auth: "optional",
    rate: "login",
    body: z.object({
      new_password: z.string(),
      logout_devices: z.boolean().nullish(),
      auth: AuthData.optional(),
    }),
    async handle(hs, call) {
      const { new_password: password, logout_devices: logOut } = call.body;
      requireGoodPassword(hs, password);
      const owner = await requireOwner(hs, call, "changePassword");
      await changePassword(hs, owner, password, {
        logOut: logOut ?? true,
        except: call.requester?.deviceId,
      });
      return {};
    },
  }),
];
