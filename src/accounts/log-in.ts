import { checkPassword } from "#src/auth/check-password.ts";
import type { Account } from "#src/auth/find-account.ts";
import { findAccount } from "#src/auth/find-account.ts";
import { type Identification, identifiedUser } from "#src/auth/identify-user.ts";
import { type IssuedTokens, makePair } from "#src/auth/issue-tokens.ts";
import { userLocked } from "#src/auth/moderated-accounts.ts";
import { findOneTimeToken } from "#src/auth/one-time-tokens.ts";
import { type DeviceOwner, enterDevice, type WantedDevice } from "#src/devices/create-device.ts";
import { isDehydrated } from "#src/encryption/dehydrated/dehydrated-device.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";

/** What a client says of the device that logs in. */
export type LoginDevice = WantedDevice & {
  /** Whether the client can use a refresh token. */
  readonly refreshable: boolean;
};

/** The answer to a log-in and to a registration. */
export type LoggedIn = IssuedTokens & {
  readonly user_id: UserId;
  readonly device_id: string;
  /** For older clients, which do not take it from the user ID. */
  readonly home_server: ServerName;
};

/** Who logs in, and by what: by the password of which this is the hash, or by a log-in token. */
type WhoLogsIn = DeviceOwner &
  Pick<Partial<Account>, "passwordHash"> & { readonly loginToken?: string };

/**
 * Makes a device of a user, or goes on with one, and gives it tokens.
 *
 * @throws MatrixError M_FORBIDDEN, M_USER_DEACTIVATED, M_USER_LOCKED if that would not let them in any more;
 *   M_INVALID_PARAM if the device is one that nobody can be logged in on.
 */
export async function logIn(
  hs: Homeserver,
  owner: WhoLogsIn,
  wanted: LoginDevice,
): Promise<LoggedIn> {
  const { userKey, userId, passwordHash, loginToken } = owner;
  const { tokens, pair } = makePair(hs, wanted);
  const { deviceId, isIn } = await enterDevice(hs, owner, wanted, {
    pair,
    passwordHash,
    loginToken,
  });
  if (isIn) return { user_id: userId, device_id: deviceId, home_server: hs.name, ...tokens };

  if (await isDehydrated(hs, userKey, deviceId)) {
    throw new MatrixError("M_INVALID_PARAM", "That is the ID of your dehydrated device");
  }
  // The device, or what let its user in, has gone at the same moment.
  if (loginToken !== undefined) await accountByLoginToken(hs, loginToken);
  const account = await findAccount(hs, userId);
  if (!account || (passwordHash !== undefined && account.passwordHash !== passwordHash)) {
    throw wrongPassword();
  }
  requireUsable(account);
  return await logIn(hs, owner, { ...wanted, deviceId });
}

/**
 * The account that a user name and a password open.
 *
 * @throws MatrixError M_FORBIDDEN, the same whatever is wrong; M_USER_LOCKED; M_LIMIT_EXCEEDED after too
 *   many wrong passwords; M_INVALID_PARAM if nobody is named.
 */
export async function accountByPassword(
  hs: Homeserver,
  named: Identification,
  password: string,
): Promise<Account> {
  const account = await checkPassword(hs, identifiedUser(hs, named), password);
  if (!account) throw wrongPassword();
  return requireUsable(account);
}

/**
 * The account for which a log-in token was made. Who logs in by it uses it up.
 *
 * @throws MatrixError M_FORBIDDEN if there is no such token, or no longer; M_USER_DEACTIVATED;
 *   M_USER_LOCKED.
 */
export async function accountByLoginToken(
  hs: Homeserver,
  loginToken: string,
): Promise<Account & { readonly loginToken: string }> {
  const { userKey } = (await findOneTimeToken(hs, { purpose: "login", token: loginToken })) ?? {};
  const userId = userKey === undefined ? undefined : (await userIdsOf(hs, [userKey])).get(userKey);
  const account = userId && (await findAccount(hs, userId));
  if (!account) throw new MatrixError("M_FORBIDDEN", "Unknown log-in token, or used already");
  return { ...requireUsable(account), loginToken };
}

function wrongPassword(): MatrixError {
  return new MatrixError("M_FORBIDDEN", "Wrong user name or password");
}

/** @throws MatrixError M_USER_DEACTIVATED, M_USER_LOCKED. */
export function requireUsable(account: Account): Account {
  if (account.deactivatedAtMs !== undefined) {
    throw new MatrixError("M_USER_DEACTIVATED", "This account has been deactivated");
  }
  if (account.isLocked) throw userLocked();
  return account;
}
