import type { Made } from "#src/auth/made-accounts.ts";
import { hashPassword } from "#src/auth/password-hash.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { storeNewProfile } from "#src/users/set-profile.ts";
import { userInUse } from "./username.ts";

export type NewAccount = {
  readonly userId: UserId;
  /** Without one, nobody can log in by password. */
  readonly password?: string | undefined;
  /** In place of the password, where that has been hashed already. */
  readonly passwordHash?: string | undefined;
  readonly displayname?: string | undefined;
  readonly isAdmin?: boolean;
  readonly isGuest?: boolean;
};

/**
 * Makes an account.
 *
 * @param claim what else must go right in the same transaction, such as using up a token.
 * @throws MatrixError M_USER_IN_USE; M_WEAK_PASSWORD, M_INVALID_PARAM for the password; and what
 *   `claim` throws.
 */
export async function createAccount(
  hs: Homeserver,
  account: NewAccount,
  claim?: (tx: Tx, made: Made) => Promise<void>,
): Promise<Made> {
  const { userId, password, displayname, isAdmin = false, isGuest = false } = account;
  const hashed = password === undefined ? undefined : await hashPassword(hs, password);
  const passwordHash = hashed ?? account.passwordHash ?? null;
  const userKey = await userKeyOf(hs, userId);
  await hs.sql.begin(async (tx) => {
    const made = await tx`
      insert into accounts (user_key, password_hash, is_admin, is_guest, created_at_ms)
      values (${userKey}, ${passwordHash}, ${isAdmin}, ${isGuest}, ${hs.now()})
      on conflict do nothing returning user_key`;
    if (made.length === 0) throw userInUse();
    await claim?.(tx, { userKey, userId });
    await storeNewProfile(tx, { userKey, userId }, displayname);
  });
  hs.log.info({ userId, isAdmin, isGuest }, "made an account");
  return { userKey, userId };
}
