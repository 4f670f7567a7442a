import { z } from "zod";
import type { Account } from "#src/auth/find-account.ts";
import { UserIdentifier } from "#src/auth/identify-user.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { accountByAppservice, requireAppservice } from "../appservice-users.ts";
import { accountByLoginToken, accountByPassword, logIn } from "../log-in.ts";
import { OptionalText } from "../optional-text.ts";

const LoginBody = z.object({
  type: z.string(),
  identifier: UserIdentifier.nullish(),
  user: OptionalText,
  /** The older way to name a third-party identifier, with its `address`. */
  medium: OptionalText,
  password: OptionalText,
  token: OptionalText,
  device_id: OptionalText,
  initial_device_display_name: OptionalText,
  refresh_token: z.boolean().nullish(),
});

/** The specification's `login.yaml`: logging in. */
export const loginEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getLoginFlows",
    method: "GET",
    path: "/_matrix/client/v3/login",
    auth: "none",
    handle: () => ({
      flows: [
        { type: "m.login.password" },
        { type: "m.login.token", get_login_token: true },
        { type: "m.login.application_service" },
      ],
    }),
  }),
  openEndpoint({
    operation: "login",
    method: "POST",
    path: "/_matrix/client/v3/login",
    auth: "appservice",
    rate: "login",
    body: LoginBody,
    async handle(hs, call) {
      const { body } = call;
      const account = await accountOf(hs, call);
      return await logIn(hs, account, {
        deviceId: body.device_id ?? undefined,
        displayName: body.initial_device_display_name ?? undefined,
        refreshable: body.refresh_token ?? false,
      });
    },
  }),
];

type LoginCall = Call<z.infer<typeof LoginBody>, Requester | undefined>;

async function accountOf(hs: Homeserver, call: LoginCall): Promise<Account> {
  const it = call.body;
  switch (it.type) {
    case "m.login.password":
      return await accountByPassword(hs, namedIn(it), required("password", it.password));
    case "m.login.token":
      return await accountByLoginToken(hs, required("token", it.token));
    case "m.login.application_service": {
      const hasToken = call.request.header("authorization") !== undefined;
      const appservice = requireAppservice(hs, call.requester, hasToken);
      return await accountByAppservice(hs, appservice, namedIn(it));
    }
    default:
      throw new MatrixError("M_UNKNOWN", "Unknown type of log-in", { status: 400 });
  }
}

/** Whom a log-in names, in whichever way. */
function namedIn({ identifier, user, medium }: z.infer<typeof LoginBody>) {
  if (identifier) return { identifier };
  if (medium) return { identifier: { type: "m.id.thirdparty" } };
  return { user: user ?? undefined };
}

function required(name: string, value: string | null | undefined): string {
  if (value === null || value === undefined) {
    throw new MatrixError("M_MISSING_PARAM", `Missing ${name}`);
  }
  return value;
}
