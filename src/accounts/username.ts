import { randomBytes } from "node:crypto";
import { findAccount } from "#src/auth/find-account.ts";
import type { Appservice } from "#src/config/appservice.ts";
import { looksAfterUser, ownersOfUser } from "#src/config/registered-appservices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** The grammar of new users' localparts. @spec appendices#user-identifiers */
const LOCALPART = /^[a-z0-9._=\-/+]+$/;

const MOST_USER_ID_BYTES = 255;

/**
 * The user ID that a user name stands for. Capitals become small letters.
 *
 * @param appservice the application service that asks, if one does.
 * @throws MatrixError M_INVALID_USERNAME if no user ID can be made of it; M_EXCLUSIVE if it is the server's own, an
 *   application service's, or none of the one's that asks.
 */
export function userIdOfUsername(
  hs: Homeserver,
  username: string,
  appservice?: Appservice,
): UserId {
  const localpart = username.toLowerCase();
  const userId: UserId = `@${localpart}:${hs.name}`;
  if (!LOCALPART.test(localpart)) {
    throw new MatrixError(
      "M_INVALID_USERNAME",
      "A user name has only letters a-z, digits, and . _ = - / +",
    );
  }
  if (localpart === hs.config.serverNotices.localpart) {
    throw new MatrixError("M_EXCLUSIVE", "The user name is the server's own");
  }
  if (userId.length > MOST_USER_ID_BYTES) {
    throw new MatrixError("M_INVALID_USERNAME", "The user name is too long");
  }
  requireMayHave(hs, userId, appservice);
  return userId;
}

/** @spec application-service-api#server-admin-style-permissions */
function requireMayHave(hs: Homeserver, userId: UserId, appservice: Appservice | undefined): void {
  const owners = ownersOfUser(hs.config, userId);
  if (owners.some((it) => it.id !== appservice?.id)) {
    throw new MatrixError("M_EXCLUSIVE", "The user name is kept for an application service");
  }
  if (appservice && !looksAfterUser(hs.config, appservice, userId)) {
    throw new MatrixError("M_EXCLUSIVE", "The user name is not in the application service's space");
  }
}

/** @throws MatrixError M_USER_IN_USE if the user ID is or was somebody's. */
export async function requireFreeUserId(hs: Homeserver, userId: UserId): Promise<void> {
  if (await findAccount(hs, userId)) throw userInUse();
}

export function userInUse(): MatrixError {
  return new MatrixError("M_USER_IN_USE", "The user name is taken");
}

/** A user ID that nobody has, for those who asked for none. */
export function randomUserId(hs: Homeserver, prefix: string): UserId {
  return `@${prefix}${randomBytes(8).toString("hex")}:${hs.name}`;
}
