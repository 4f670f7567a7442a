import { z } from "zod";
import { AuthData } from "#src/auth/auth-data.ts";
import { requireUserInteractive } from "#src/auth/user-interactive.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { registerForAppservice, requireAppservice } from "../appservice-users.ts";
import { OptionalText } from "../optional-text.ts";
import { checkRegistration, register, registerGuest, registrationFlows } from "../register.ts";
import { requireFreeUserId, userIdOfUsername } from "../username.ts";

const RegisterBody = z.object({
  auth: AuthData.optional(),
  type: OptionalText,
  username: OptionalText,
  password: OptionalText,
  device_id: OptionalText,
  initial_device_display_name: OptionalText,
  inhibit_login: z.boolean().nullish(),
  refresh_token: z.boolean().nullish(),
});

/** The specification's `registration.yaml`: making accounts. */
export const registrationEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "register",
    method: "POST",
    path: "/_matrix/client/v3/register",
    auth: "appservice",
    rate: "register",
    body: RegisterBody,
    async handle(hs, call) {
      const { body } = call;
      const kind = call.query.get("kind") ?? "user";
      const displayName = body.initial_device_display_name ?? undefined;
      if (kind === "guest") return await registerGuest(hs, displayName);
      if (kind !== "user") throw new MatrixError("M_INVALID_PARAM", "Unknown kind of account");

      const device = {
        deviceId: body.device_id ?? undefined,
        displayName,
        refreshable: body.refresh_token ?? false,
      };
      const wanted = {
        username: body.username ?? undefined,
        password: body.password ?? undefined,
        device: body.inhibit_login ? undefined : device,
      };
      if (body.type === "m.login.application_service") {
        const hasToken = call.request.header("authorization") !== undefined;
        const appservice = requireAppservice(hs, call.requester, hasToken);
        return await registerForAppservice(hs, appservice, wanted);
      }
      const flows = registrationFlows(hs);
      await checkRegistration(hs, wanted);
      const asked = { params: call.params, body };
      const proof = await requireUserInteractive(hs, asked, { operation: "register", flows });
      return await register(hs, wanted, proof);
    },
  }),
  openEndpoint({
    operation: "checkUsernameAvailability",
    method: "GET",
    path: "/_matrix/client/v3/register/available",
    auth: "none",
    async handle(hs, { query }) {
      const username = query.get("username");
      if (username === null) throw new MatrixError("M_MISSING_PARAM", "Missing username");
      await requireFreeUserId(hs, userIdOfUsername(hs, username));
      return { available: true };
    },
  }),
];
