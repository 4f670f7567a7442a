import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { write } from "#src/streams/write.ts";

/** The name, in every `Change`, of the stream of accounts. Its changes have a `userKey`. */
export const ACCOUNTS = "accounts";

/** What of an account changes; what is left out stays. An empty one says that tokens have ended. */
export type AccountChange = {
  /** Of another password. Nothing is believed any more for the sake of the one before. */
  readonly passwordHash?: string;
  readonly isAdmin?: boolean;
  readonly isGuest?: boolean;
  readonly isLocked?: boolean;
  readonly isSuspended?: boolean;
  /** When it was deactivated, which takes its password and makes it leave its rooms. */
  readonly deactivatedAtMs?: UnixMs;
  readonly isErased?: boolean;
};

export type AccountWrite = { readonly userKey: number; readonly change: AccountChange };

/**
 * Changes of what an access token is worth. Every process hears of them, and asks again about the
 * tokens of the account.
 */
export const accountsStream: Stream<AccountWrite, boolean> = {
  name: ACCOUNTS,

  async store(_hs, lane, placed) {
    const folded = foldByUser(placed);
    forgetShown(lane, folded);
    const known = await updateAccounts(lane, folded);
    return placed.map(({ write: { userKey }, position }): Outcome<boolean> => {
      const result = known.has(userKey);
      return { ok: true, result, changes: result ? [changeOf(userKey, position)] : [] };
    });
  },

  async changesBetween(sql, after, upTo) {
    const rows = await sql<{ user_key: number; position: number }[]>`
      select user_key, position from accounts where position > ${after} and position <= ${upTo}`;
    return rows.map((it) => changeOf(it.user_key, it.position));
  },
};

/**
 * Changes an account, for all processes.
 *
 * @returns false if there is no such account.
 */
export async function changeAccount(
  hs: Homeserver,
  userKey: number,
  change: AccountChange,
): Promise<boolean> {
  return await write(hs, accountsStream, { userKey, change });
}

function changeOf(userKey: number, position: number): Change {
  return { position, stream: ACCOUNTS, userKey };
}

/** A statement may update a row once: several changes of one account become one. */
function foldByUser(placed: readonly Placed<AccountWrite>[]): Placed<AccountWrite>[] {
  const folded = new Map<number, Placed<AccountWrite>>();
  for (const it of placed) {
    const { userKey, change } = it.write;
    const before = folded.get(userKey)?.write.change;
    folded.set(userKey, { ...it, write: { userKey, change: { ...before, ...change } } });
  }
  return [...folded.values()];
}

/** What users have been let do by the passwords that they had ends with these: to log in by a token, or to prove nothing anew. */
function forgetShown(lane: Tx, placed: readonly Placed<AccountWrite>[]): void {
  const userKeys = placed.flatMap(({ write: { userKey, change } }) =>
    change.passwordHash === undefined ? [] : [userKey],
  );
  if (userKeys.length === 0) return;
  void lane`
    delete from one_time_tokens where purpose = 'login' and user_key = any(${userKeys}::bigint[])`;
  void lane`
    update devices set proved_ms = null
    where user_key = any(${userKeys}::bigint[]) and proved_ms is not null`;
}

async function updateAccounts(
  lane: Tx,
  placed: readonly Placed<AccountWrite>[],
): Promise<Set<number>> {
  const changes = placed.map((it) => it.write.change);
  const rows = await lane<{ user_key: number }[]>`
    update accounts set
      password_hash = case when change.deactivated_at_ms is null
        then coalesce(change.password_hash, accounts.password_hash) end,
      is_admin = coalesce(change.is_admin, accounts.is_admin),
      is_guest = coalesce(change.is_guest, accounts.is_guest),
      is_locked = coalesce(change.is_locked, accounts.is_locked),
      is_suspended = coalesce(change.is_suspended, accounts.is_suspended),
      is_erased = coalesce(change.is_erased, accounts.is_erased),
      deactivated_at_ms = coalesce(change.deactivated_at_ms, accounts.deactivated_at_ms),
      leaving_after = case when change.deactivated_at_ms is null then accounts.leaving_after else 0 end,
      position = change.position
    from unnest(
      ${placed.map((it) => it.write.userKey)}::bigint[], ${placed.map((it) => it.position)}::bigint[],
      ${changes.map((it) => it.passwordHash ?? null)}::text[],
      ${flags(changes, "isAdmin")}::text[]::boolean[],
      ${flags(changes, "isGuest")}::text[]::boolean[],
      ${flags(changes, "isLocked")}::text[]::boolean[],
      ${flags(changes, "isSuspended")}::text[]::boolean[],
      ${flags(changes, "isErased")}::text[]::boolean[],
      ${changes.map((it) => it.deactivatedAtMs ?? null)}::bigint[]
    ) as change (user_key, position, password_hash, is_admin, is_guest, is_locked, is_suspended, is_erased,
      deactivated_at_ms)
    where accounts.user_key = change.user_key
    returning accounts.user_key`;
  return new Set(rows.map((it) => it.user_key));
}

/** The driver takes an array that begins with a boolean for one boolean, so they go as text. */
function flags(
  changes: readonly AccountChange[],
  name: "isAdmin" | "isGuest" | "isLocked" | "isSuspended" | "isErased",
): (string | null)[] {
  return changes.map((it) => it[name]?.toString() ?? null);
}
