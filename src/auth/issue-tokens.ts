import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { changeAccount } from "./accounts-stream.ts";
import { userLocked } from "./moderated-accounts.ts";
import {
  endReplacedPair,
  insertNextPair,
  lockByRefreshHash,
  type NewPair,
} from "./queries-tokens.ts";
import { newToken, tokenHash } from "./secret-tokens.ts";

/** Tokens as a client gets them, under their names on the wire. */
export type IssuedTokens = {
  readonly access_token: string;
  readonly refresh_token?: string;
  readonly expires_in_ms?: number;
};

/**
 * Gives a device its next tokens. The old ones stay valid until a new one is used, so that a client
 * that never got the answer can ask again.
 *
 * @throws MatrixError M_UNKNOWN_TOKEN if the refresh token is none, was used, or has expired;
 *   M_USER_LOCKED.
 * @spec client-server-api#refreshing-access-tokens
 */
export async function refreshTokens(hs: Homeserver, refreshToken: string): Promise<IssuedTokens> {
  const { tokens, pair } = makePair(hs, { refreshable: true });
  const endedOf = await hs.sql.begin(async (tx) => {
    const old = await lockByRefreshHash(tx, tokenHash(refreshToken));
    if (!old) throw new MatrixError("M_UNKNOWN_TOKEN", "Unknown refresh token");
    if (old.isLocked) throw userLocked();
    if (old.refreshExpiresAtMs !== null && old.refreshExpiresAtMs <= hs.now()) {
      const fields = { soft_logout: true };
      throw new MatrixError("M_UNKNOWN_TOKEN", "The refresh token has expired", { fields });
    }
    const { tokenKey, replaces } = old;
    const ended =
      replaces !== null && (await endReplacedPair(tx, { tokenKey, replaces }, hs.now()));
    await insertNextPair(tx, old, pair);
    return ended ? old.userKey : undefined;
  });
  if (endedOf !== undefined) await changeAccount(hs, endedOf, {});
  return tokens;
}

/**
 * Makes tokens: what a client gets, and what is kept of it.
 *
 * @param refreshable whether the client can use a refresh token.
 */
export function makePair(
  hs: Homeserver,
  { refreshable }: { readonly refreshable: boolean },
): { readonly tokens: IssuedTokens; readonly pair: NewPair } {
  const { accessTokenLifetimeMs, refreshTokenLifetimeMs, nonRefreshableLifetimeMs } =
    hs.config.sessions;
  const access = newToken("access");
  const refresh = refreshable ? newToken("refresh") : undefined;
  const lifetimeMs = refreshable ? accessTokenLifetimeMs : nonRefreshableLifetimeMs;
  return {
    tokens: {
      access_token: access,
      ...(refresh !== undefined && { refresh_token: refresh }),
      ...(lifetimeMs !== null && { expires_in_ms: lifetimeMs }),
    },
    pair: {
      accessHash: tokenHash(access),
      refreshHash: refresh === undefined ? null : tokenHash(refresh),
      accessExpiresAtMs: lifetimeMs === null ? null : hs.now() + lifetimeMs,
      refreshExpiresAtMs:
        refresh === undefined || refreshTokenLifetimeMs === null
          ? null
          : hs.now() + refreshTokenLifetimeMs,
    },
  };
}
