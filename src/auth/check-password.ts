import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { checkWithinLimit } from "./failed-attempts.ts";
import { type Account, findAccount } from "./find-account.ts";
import { matchesHash } from "./password-hash.ts";

/**
 * The account that a password opens. Whether there is no such account, it has no password, or the
 * password is wrong, cannot be told from the answer or from the time it takes.
 *
 * @param userId undefined if no user of this server was named.
 * @returns undefined if the password does not open it.
 * @throws MatrixError M_LIMIT_EXCEEDED after too many wrong passwords.
 */
export async function checkPassword(
  hs: Homeserver,
  userId: UserId | undefined,
  password: string,
): Promise<Account | undefined> {
  const account = userId && (await findAccount(hs, userId));
  const check = async () => await matchesHash(hs, password, account?.passwordHash);
  const isRight = userId ? await checkWithinLimit(hs, userId, check) : await check();
  return isRight ? account : undefined;
}
