import { z } from "zod";
import { AuthData } from "#src/auth/auth-data.ts";
import { type Made, madeBefore, rememberMade } from "#src/auth/made-accounts.ts";
import { requireUserInteractive } from "#src/auth/user-interactive.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { registerForAppservice, requireAppservice } from "../appservice-users.ts";
import { askedBefore, textToKeep } from "../asked-before.ts";
import { OptionalText } from "../optional-text.ts";
import {
  checkRegistration,
  makeAccount,
  registerGuest,
  type Registration,
  registrationFlows,
  welcome,
} from "../register.ts";
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

      if (body.type === "m.login.application_service") {
        const hasToken = call.request.header("authorization") !== undefined;
        const appservice = requireAppservice(hs, call.requester, hasToken);
        return await registerForAppservice(hs, appservice, wantedIn(body));
      }
      const wanted = (await askedEarlier(hs, body)) ?? wantedIn(body);
      const asked = { params: call.params, body };
      const before = await madeBefore(hs, asked, wanted.password);
      const made = before ?? (await makeAsked(hs, asked, { ...wanted, ip: call.ip }));
      return await welcome(hs, made, wanted.device);
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

/** What a client asked for before that now says nothing but that it goes on, as Element's older ones for phones do. */
async function askedEarlier(
  hs: Homeserver,
  { auth, ...rest }: RegisterBody,
): Promise<Registration | undefined> {
  const isMore = Object.values(rest).some((it) => it !== undefined && it !== null);
  if (isMore || auth?.session === undefined) return undefined;
  return await askedBefore(hs, auth.session);
}

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

/** Makes an account once it is proved that one may be made. */
async function makeAsked(
  hs: Homeserver,
  asked: { readonly params: Readonly<Record<string, string>>; readonly body: RegisterBody },
  { ip, ...wanted }: Registration & { readonly ip: string },
): Promise<Made> {
  const flows = registrationFlows(hs);
  const guest = await guestOf(hs, asked.body, ip);
  const registration = { ...wanted, guest };
  await checkRegistration(hs, registration);
  const proof = await requireUserInteractive(hs, asked, {
    operation: "register",
    flows,
    remembered: true,
    keep: async () => await textToKeep(hs, registration),
  });
  return await makeAccount(hs, registration, proof, async (tx, made) => {
    await rememberMade(tx, asked, made);
  });
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
