import { randomBytes } from "node:crypto";
import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** A token that lets people register. */
export type RegistrationToken = {
  readonly token: string;
  /** Null: any number. */
  readonly usesAllowed: number | null;
  readonly usesCompleted: number;
  /** Null: never. */
  readonly expiresAtMs: UnixMs | null;
};

/** @spec client-server-api#token-authenticated-registration */
const GRAMMAR = /^[A-Za-z0-9._~-]{1,64}$/;

/**
 * Makes a registration token.
 *
 * @param wanted the token itself, if it is to be a certain one.
 * @throws MatrixError M_INVALID_PARAM if no token may look so, or there is one already.
 */
export async function makeRegistrationToken(
  hs: Homeserver,
  wanted: {
    readonly token?: string | undefined;
    readonly usesAllowed?: number | null | undefined;
    readonly expiresAtMs?: UnixMs | null | undefined;
  } = {},
): Promise<RegistrationToken> {
  const token = wanted.token ?? randomBytes(12).toString("base64url");
  if (!GRAMMAR.test(token)) {
    throw new MatrixError(
      "M_INVALID_PARAM",
      "A token has 1 to 64 characters of A-Z a-z 0-9 . _ ~ -",
    );
  }
  const usesAllowed = wanted.usesAllowed ?? null;
  const expiresAtMs = wanted.expiresAtMs ?? null;
  const rows = await hs.sql`
    insert into registration_tokens (token, uses_allowed, expires_at_ms)
    values (${token}, ${usesAllowed}, ${expiresAtMs}) on conflict do nothing returning token`;
  if (rows.length === 0) throw new MatrixError("M_INVALID_PARAM", "There is such a token already");
  return { token, usesAllowed, usesCompleted: 0, expiresAtMs };
}

/** All registration tokens, those that can be used no longer too. */
export async function registrationTokens(hs: Homeserver): Promise<readonly RegistrationToken[]> {
  return await hs.sql<RegistrationToken[]>`
    select token, uses_allowed as "usesAllowed", uses_completed as "usesCompleted",
      expires_at_ms as "expiresAtMs"
    from registration_tokens order by token`;
}

/** @returns false if there was none. */
export async function deleteRegistrationToken(hs: Homeserver, token: string): Promise<boolean> {
  const rows = await hs.sql`
    delete from registration_tokens where token = ${token} returning token`;
  return rows.length > 0;
}

/** Whether an account could be made with a token now. */
export async function isRegistrationToken(hs: Homeserver, token: string): Promise<boolean> {
  const rows = await hs.sql`
    select 1 from registration_tokens where token = ${token}
      and (uses_allowed is null or uses_completed < uses_allowed)
      and (expires_at_ms is null or expires_at_ms > ${hs.now()})`;
  return rows.length > 0;
}

/**
 * Counts an account that is made with a token, in the transaction that makes it.
 *
 * @throws MatrixError M_FORBIDDEN if the token was used up or has expired meanwhile.
 */
export async function useRegistrationToken(
  hs: Homeserver,
  tx: Queryable,
  token: string,
): Promise<void> {
  const rows = await tx`
    update registration_tokens set uses_completed = uses_completed + 1
    where token = ${token} and (uses_allowed is null or uses_completed < uses_allowed)
      and (expires_at_ms is null or expires_at_ms > ${hs.now()})
    returning token`;
  if (rows.length === 0) {
    throw new MatrixError("M_FORBIDDEN", "The registration token can be used no longer");
  }
}
