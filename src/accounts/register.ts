import type { Made } from "#src/auth/made-accounts.ts";
import { hashPassword, requireGoodPassword } from "#src/auth/password-hash.ts";
import { isRegistrationToken, useRegistrationToken } from "#src/auth/registration-tokens.ts";
import type { Proof, Stage } from "#src/auth/uia-stages.ts";
import { requireDeviceId } from "#src/devices/device-name.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { createAccount, type NewAccount } from "./create-account.ts";
import { type LoggedIn, logIn, type LoginDevice } from "./log-in.ts";
import { type Guest, upgradeGuest } from "./upgrade-guest.ts";
import { randomUserId, requireFreeUserId, userIdOfUsername } from "./username.ts";

/** What somebody asks for who registers. */
export type Registration = {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** In place of the password, if the client has shown that before (`asked-before.ts`). */
  readonly passwordHash?: string | undefined;
  /** The device to log in at once; undefined for none. */
  readonly device?: LoginDevice | undefined;
  /** The guest who registers, if it is one: the user name is theirs already. */
  readonly guest?: Guest | undefined;
};

/**
 * The ways to prove that one may register.
 *
 * @throws MatrixError M_FORBIDDEN if nobody may.
 */
export function registrationFlows(hs: Homeserver): readonly (readonly Stage[])[] {
  const { mode, terms } = hs.config.registration;
  const agreeing: readonly Stage[] = terms.length > 0 ? ["m.login.terms"] : [];
  switch (mode) {
    case "open":
      return [["m.login.dummy", ...agreeing]];
    case "token":
      return [["m.login.registration_token", ...agreeing]];
    case "closed":
      throw new MatrixError("M_FORBIDDEN", "Registration is not open on this server");
  }
}

/**
 * Refuses what no account can be made of, before anybody is asked for proof.
 *
 * @throws MatrixError M_INVALID_USERNAME, M_USER_IN_USE; M_WEAK_PASSWORD; M_INVALID_PARAM.
 */
export async function checkRegistration(
  hs: Homeserver,
  { username, password, device, guest }: Registration,
): Promise<void> {
  if (username !== undefined && !guest) await requireFreeUserId(hs, userIdOfUsername(hs, username));
  if (password !== undefined) requireGoodPassword(hs, password);
  if (device?.deviceId !== undefined) requireDeviceId(device.deviceId);
}

/** The answer to who registers without logging in. */
export type Registered = { readonly user_id: UserId; readonly home_server: ServerName };

/**
 * Makes the account of somebody who registers.
 *
 * @param remember notes who has been made, as they are.
 * @throws MatrixError what `checkRegistration` throws, if things have changed since; M_MISSING_PARAM
 *   without a password; M_FORBIDDEN if the registration token was used up meanwhile.
 * @spec client-server-api#post_matrixclientv3register
 */
export async function makeAccount(
  hs: Homeserver,
  registration: Registration,
  proof: Proof,
  remember: (tx: Tx, made: Made) => Promise<void>,
): Promise<Made> {
  const { username, guest } = registration;
  const passwordHash = await hashOf(hs, registration);
  const claim = async (tx: Tx, made: Made) => {
    const token = proof.registrationToken;
    if (token !== undefined) await useRegistrationToken(hs, tx, token);
    await remember(tx, made);
  };
  if (!guest) return await createAccount(hs, newAccount(hs, username, passwordHash), claim);
  return await upgradeGuest(hs, guest, passwordHash, async () => {
    await hs.sql.begin(async (tx) => await claim(tx, guest));
  });
}

async function hashOf(hs: Homeserver, { password, passwordHash }: Registration): Promise<string> {
  if (passwordHash !== undefined) return passwordHash;
  if (password === undefined) throw new MatrixError("M_MISSING_PARAM", "Missing password");
  return await hashPassword(hs, password);
}

/** Answers somebody who has registered, and logs them in if they want. */
export async function welcome(
  hs: Homeserver,
  made: Made,
  device: LoginDevice | undefined,
): Promise<Registered | LoggedIn> {
  if (!device) return { user_id: made.userId, home_server: hs.name };
  return await logIn(hs, made, device);
}

/** People see the name as it was typed, capitals and all, until they choose another. */
function newAccount(
  hs: Homeserver,
  username: string | undefined,
  passwordHash: string,
): NewAccount {
  if (username === undefined) return { userId: randomUserId(hs, "u"), passwordHash };
  return { userId: userIdOfUsername(hs, username), passwordHash, displayname: username };
}

/**
 * Makes a guest, who has no password, and logs them in on a device that the server names.
 *
 * @throws MatrixError M_FORBIDDEN if guests may not come in.
 * @spec client-server-api#guest-access
 */
export async function registerGuest(
  hs: Homeserver,
  displayName: string | undefined,
): Promise<LoggedIn> {
  if (!hs.config.registration.guestsAllowed) {
    throw new MatrixError("M_FORBIDDEN", "Guests may not come in on this server");
  }
  const userId = randomUserId(hs, "guest-");
  const owner = await createAccount(hs, { userId, isGuest: true });
  return await logIn(hs, owner, { displayName, refreshable: false });
}

/**
 * Whether somebody could register with a token now.
 *
 * @throws MatrixError M_FORBIDDEN if tokens let nobody register here.
 */
export async function checkRegistrationToken(hs: Homeserver, token: string): Promise<boolean> {
  if (hs.config.registration.mode !== "token") {
    throw new MatrixError("M_FORBIDDEN", "This server does not register by tokens");
  }
  return await isRegistrationToken(hs, token);
}
