import { changeAccount } from "#src/auth/accounts-stream.ts";
import { type Account, findAccount } from "#src/auth/find-account.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseUserId, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";

/** How an account stands with the administrators. */
export type Moderation = { readonly isLocked: boolean; readonly isSuspended: boolean };

/**
 * How an account stands.
 *
 * @throws MatrixError M_FORBIDDEN if the requester is no administrator, or the account is another's;
 *   M_INVALID_PARAM if it is not of this server; M_NOT_FOUND if there is none, or no longer.
 * @spec client-server-api#account-moderation
 */
export async function moderationOf(
  hs: Homeserver,
  requester: Requester,
  target: string,
): Promise<Moderation> {
  return await requireTarget(hs, requester, target);
}

/**
 * Locks or suspends an account, or ends that.
 *
 * @throws MatrixError as `moderationOf` does.
 * @spec client-server-api#account-moderation
 */
export async function moderateAccount(
  hs: Homeserver,
  requester: Requester,
  target: string,
  change: Partial<Moderation>,
): Promise<void> {
  const { userKey, userId } = await requireTarget(hs, requester, target);
  await changeAccount(hs, userKey, change);
  hs.log.info({ userId, by: requester.userId, ...change }, "moderated an account");
}

async function requireTarget(
  hs: Homeserver,
  requester: Requester,
  target: string,
): Promise<Account> {
  // Before anything is looked up: who may not know learns nothing.
  if (!requester.isAdmin) throw new MatrixError("M_FORBIDDEN", "You are no administrator");
  const userId = parseUserId(target);
  if (serverNameOf(userId) !== hs.name) {
    throw new MatrixError("M_INVALID_PARAM", "The user is not of this server");
  }
  const account = await findAccount(hs, userId);
  if (!account || account.deactivatedAtMs !== undefined) {
    throw new MatrixError("M_NOT_FOUND", "There is no such account");
  }
  if (account.isAdmin) throw new MatrixError("M_FORBIDDEN", "The user is an administrator");
  return account;
}
