import { changeAccount } from "#src/auth/accounts-stream.ts";
import { lookupToken } from "#src/auth/lookup-token.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { userIdOfUsername } from "./username.ts";

/** A guest who registers, to go on under the same name. */
export type Guest = { readonly userKey: number; readonly userId: UserId };

/**
 * The guest who shows an access token to register.
 *
 * @throws MatrixError M_UNKNOWN_TOKEN; M_FORBIDDEN if it is no guest's; M_MISSING_PARAM without the user name that the
 *   guest has, and M_INVALID_PARAM with another.
 * @spec client-server-api#guest-access
 */
export async function guestOfToken(
  hs: Homeserver,
  token: string,
  { username, ip }: { readonly username: string | undefined; readonly ip: string },
): Promise<Guest> {
  const query = () => new URLSearchParams();
  const { userKey, userId, isGuest } = await lookupToken(hs, token, {
    operation: "register",
    ip,
    query,
  });
  if (!isGuest) throw new MatrixError("M_FORBIDDEN", "This is not the access token of a guest");
  if (username === undefined) {
    throw new MatrixError("M_MISSING_PARAM", "Missing username, which is the guest's");
  }
  if (userIdOfUsername(hs, username) !== userId) {
    throw new MatrixError("M_INVALID_PARAM", "The user name is not the guest's");
  }
  return { userKey, userId };
}

/**
 * Makes a guest's account one like others. Where the guest is logged in they stay so.
 *
 * @throws MatrixError what `claim` throws, which comes first.
 */
export async function upgradeGuest(
  hs: Homeserver,
  guest: Guest,
  passwordHash: string,
  claim: () => Promise<void>,
): Promise<Guest> {
  await claim();
  await changeAccount(hs, guest.userKey, { passwordHash, isGuest: false });
  hs.log.info({ userId: guest.userId }, "made a guest's account a full one");
  return guest;
}
