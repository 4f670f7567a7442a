import { type Account, findAccount } from "#src/auth/find-account.ts";
import { type Identification, identifiedUser } from "#src/auth/identify-user.ts";
import type { Appservice } from "#src/config/appservice.ts";
import { looksAfterUser, senderOf } from "#src/config/registered-appservices.ts";
import { requireDeviceId } from "#src/devices/device-name.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { createAccount } from "./create-account.ts";
import { type LoggedIn, logIn, type LoginDevice, requireUsable } from "./log-in.ts";
import type { Registered } from "./register.ts";
import { userIdOfUsername } from "./username.ts";

/**
 * The application service that asks.
 *
 * @param hasToken whether any token was shown.
 * @throws MatrixError M_MISSING_TOKEN; M_FORBIDDEN if the token that was shown is not an application service's.
 */
export function requireAppservice(
  hs: Homeserver,
  requester: Requester | undefined,
  hasToken = requester !== undefined,
): Appservice {
  const found = hs.config.appservices.find((it) => it.id === requester?.appserviceId);
  if (found) return found;
  if (!hasToken) throw new MatrixError("M_MISSING_TOKEN", "Missing access token");
  throw new MatrixError("M_FORBIDDEN", "The access token is not an application service's");
}

/**
 * Makes the account of a user of an application service: without a password, and without asking whether anybody may.
 *
 * @throws MatrixError M_EXCLUSIVE, M_INVALID_USERNAME, M_USER_IN_USE, M_MISSING_PARAM, M_INVALID_PARAM.
 * @spec application-service-api#server-admin-style-permissions
 */
export async function registerForAppservice(
  hs: Homeserver,
  appservice: Appservice,
  {
    username,
    device,
  }: { readonly username: string | undefined; readonly device: LoginDevice | undefined },
): Promise<Registered | LoggedIn> {
  if (username === undefined) throw new MatrixError("M_MISSING_PARAM", "Missing username");
  const userId = userIdOfUsername(hs, username, appservice);
  if (device?.deviceId !== undefined) requireDeviceId(device.deviceId);
  const owner = await createAccount(hs, { userId, displayname: username });
  if (!device) return { user_id: userId, home_server: hs.name };
  return await logIn(hs, owner, device);
}

/**
 * The account that an application service logs in to: one of its users'.
 *
 * @throws MatrixError M_EXCLUSIVE of a user that it does not look after; M_FORBIDDEN of one that is not registered;
 *   M_USER_DEACTIVATED; M_USER_LOCKED; M_INVALID_PARAM if nobody is named.
 * @spec client-server-api#appservice-login
 */
export async function accountByAppservice(
  hs: Homeserver,
  appservice: Appservice,
  named: Identification,
): Promise<Account> {
  const userId = identifiedUser(hs, named);
  if (!userId || !looksAfterUser(hs.config, appservice, userId)) {
    throw new MatrixError("M_EXCLUSIVE", "The user is not in the application service's space");
  }
  const account = await findAccount(hs, userId);
  if (!account) throw new MatrixError("M_FORBIDDEN", "The user is not registered");
  return requireUsable(account);
}

/** Makes the accounts of the users in whose names application services speak when they name no other. */
export async function registerSenders(hs: Homeserver): Promise<void> {
  for (const appservice of hs.config.appservices) {
    const userId = senderOf(hs.config, appservice);
    if (await findAccount(hs, userId)) continue;
    try {
      await createAccount(hs, { userId, displayname: appservice.senderLocalpart });
    } catch (error) {
      // Another process was faster.
      if (!(error instanceof MatrixError) || error.errcode !== "M_USER_IN_USE") throw error;
    }
  }
}
