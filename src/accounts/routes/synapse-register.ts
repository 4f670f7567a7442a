import { z } from "zod";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { OptionalText } from "../optional-text.ts";
import { registerBySecret, secretNonce } from "../register-by-secret.ts";

const PATH = "/_synapse/admin/v1/register";

/** Registration by a secret that a script shares with the server, as such scripts know it from Synapse. */
export const sharedSecretEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "nonceForSharedSecret",
    method: "GET",
    path: PATH,
    auth: "none",
    rate: "register",
    handle: async (hs) => ({ nonce: await secretNonce(hs) }),
  }),
  openEndpoint({
    operation: "registerBySharedSecret",
    method: "POST",
    path: PATH,
    auth: "none",
    rate: "register",
    body: z.object({
      nonce: z.string(),
      username: z.string(),
      password: z.string(),
      displayname: OptionalText,
      admin: z.boolean().nullish(),
      user_type: OptionalText,
      mac: z.string(),
    }),
    async handle(hs, { body }) {
      return await registerBySecret(hs, {
        nonce: body.nonce,
        username: body.username,
        password: body.password,
        displayname: body.displayname ?? undefined,
        admin: body.admin ?? false,
        userType: body.user_type ?? undefined,
        mac: body.mac,
      });
    },
  }),
];
