import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** An account of this server, as it stands. */
export type Account = {
  readonly userKey: number;
  readonly userId: UserId;
  /** Undefined if the account has no password. */
  readonly passwordHash: string | undefined;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly isLocked: boolean;
  readonly isSuspended: boolean;
  /** Undefined while it may be used. */
  readonly deactivatedAtMs: UnixMs | undefined;
};

type Row = {
  user_key: number;
  user_id: UserId;
  password_hash: string | null;
  is_admin: boolean;
  is_guest: boolean;
  is_locked: boolean;
  is_suspended: boolean;
  deactivated_at_ms: number | null;
};

/** The account of a user ID, also one that was deactivated. */
export async function findAccount(hs: Homeserver, userId: UserId): Promise<Account | undefined> {
  const [row] = await hs.sql<Row[]>`
    select user_key, user_id, password_hash, is_admin, is_guest, is_locked, is_suspended,
      deactivated_at_ms
    from users join accounts using (user_key) where user_id = ${userId}`;
  return (
    row && {
      userKey: row.user_key,
      userId: row.user_id,
      passwordHash: row.password_hash ?? undefined,
      isAdmin: row.is_admin,
      isGuest: row.is_guest,
      isLocked: row.is_locked,
      isSuspended: row.is_suspended,
      deactivatedAtMs: row.deactivated_at_ms ?? undefined,
    }
  );
}
