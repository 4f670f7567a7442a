import { z } from "zod";
import { AuthData } from "#src/auth/auth-data.ts";
import { requireUserInteractive } from "#src/auth/user-interactive.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { registerForAppservice, requireAppservice } from "../appservice-users.ts";
import { OptionalText } from "../optional-text.ts";
import { checkRegistration, register, registerGuest, registrationFlows } from "../register.ts";
import { type Guest, guestOfToken } from "../upgrade-guest.ts";
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
  guest_access_token: OptionalText,
});
type RegisterBody = z.infer<typeof RegisterBody>;

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

      const wanted = wantedIn(body);
      if (body.type === "m.login.application_service") {
        const hasToken = call.request.header("authorization") !== undefined;
        const appservice = requireAppservice(hs, call.requester, hasToken);
        return await registerForAppservice(hs, appservice, wanted);
      }
      const flows = registrationFlows(hs);
      const guest = await guestOf(hs, body, call.ip);
      const registration = { ...wanted, guest };
      await checkRegistration(hs, registration);
      const asked = { params: call.params, body };
      const proof = await requireUserInteractive(hs, asked, { operation: "register", flows });
      return await register(hs, registration, proof);
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

function wantedIn(body: RegisterBody) {
  const device = {
    deviceId: body.device_id ?? undefined,
    displayName: body.initial_device_display_name ?? undefined,
    refreshable: body.refresh_token ?? false,
  };
  return {
    username: body.username ?? undefined,
    password: body.password ?? undefined,
    device: body.inhibit_login ? undefined : device,
  };
}

/** The guest who registers, if it is one. */
async function guestOf(
  hs: Homeserver,
  { guest_access_token: token, username }: RegisterBody,
  ip: string,
): Promise<Guest | undefined> {
  if (token === undefined || token === null) return undefined;
  return await guestOfToken(hs, token, { username: username ?? undefined, ip });
}
