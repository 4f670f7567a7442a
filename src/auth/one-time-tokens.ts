import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { newToken, tokenHash, type TokenPurpose } from "./secret-tokens.ts";

export type OneTimePurpose = Extract<TokenPurpose, "login" | "setup" | "nonce">;

/**
 * Makes a secret that is good for one use.
 *
 * @param lifetimeMs undefined if it never expires.
 */
export async function makeOneTimeToken(
  hs: Homeserver,
  purpose: OneTimePurpose,
  {
    userKey,
    lifetimeMs,
  }: { readonly userKey?: number; readonly lifetimeMs?: number | undefined } = {},
): Promise<string> {
  const token = newToken(purpose);
  const now = hs.now();
  await hs.sql`
    insert into one_time_tokens (hash, purpose, user_key, created_at_ms, expires_at_ms)
    values (${tokenHash(token)}, ${purpose}, ${userKey ?? null}, ${now},
      ${lifetimeMs === undefined ? null : now + lifetimeMs})`;
  return token;
}

/**
 * Uses a secret up.
 *
 * @param sql in a transaction, it is used up if that commits.
 * @returns undefined if there is no such secret, or no longer.
 */
export async function takeOneTimeToken(
  hs: Homeserver,
  sql: Queryable,
  { purpose, token }: { readonly purpose: OneTimePurpose; readonly token: string },
): Promise<{ readonly userKey: number | undefined } | undefined> {
  const [row] = await sql<{ user_key: number | null; expires_at_ms: number | null }[]>`
    delete from one_time_tokens where hash = ${tokenHash(token)} and purpose = ${purpose}
    returning user_key, expires_at_ms`;
  if (!row || (row.expires_at_ms !== null && row.expires_at_ms <= hs.now())) return undefined;
  return { userKey: row.user_key ?? undefined };
}

/** A secret that could be used now, and for whom it is. */
export async function findOneTimeToken(
  hs: Homeserver,
  { purpose, token }: { readonly purpose: OneTimePurpose; readonly token: string },
): Promise<{ readonly userKey: number | undefined } | undefined> {
  const [row] = await hs.sql<{ user_key: number | null }[]>`
    select user_key from one_time_tokens where hash = ${tokenHash(token)} and purpose = ${purpose}
      and (expires_at_ms is null or expires_at_ms > ${hs.now()})`;
  return row && { userKey: row.user_key ?? undefined };
}

/** Ends the oldest secrets for a purpose, but for some that are newer. */
export async function keepNewestTokens(
  hs: Homeserver,
  purpose: OneTimePurpose,
  kept: number,
): Promise<void> {
  await hs.sql`
    delete from one_time_tokens where hash in (
      select hash from one_time_tokens where purpose = ${purpose}
      order by created_at_ms desc offset ${kept})`;
}

/** Ends all secrets for a purpose. */
export async function endOneTimeTokens(sql: Queryable, purpose: OneTimePurpose): Promise<void> {
  await sql`delete from one_time_tokens where purpose = ${purpose}`;
}
