import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { changeAccount } from "./accounts-stream.ts";
import { userLocked } from "./moderated-accounts.ts";
import {
  endReplacedPair,
  insertFirstPair,
  insertNextPair,
  lockByRefreshHash,
  lockDevice,
  type NewPair,
} from "./queries-tokens.ts";
import { newToken, tokenHash } from "./secret-tokens.ts";

/** Tokens as a client gets them, under their names on the wire. */
export type IssuedTokens = {
  readonly access_token: string;
  readonly refresh_token?: string;
  readonly expires_in_ms?: number;
};

/** A device that logs in. */
export type DeviceToAdmit = {
  readonly deviceKey: number;
  readonly userKey: number;
  /** The hash of the password that was given for it, if one was. */
  readonly passwordHash?: string | undefined;
};

/**
 * Gives a device that logs in its tokens. Those it had before end.
 *
 * @param refreshable whether the client can use a refresh token.
 * @returns undefined if, meanwhile, the device has been deleted, or the account has ended or been given
 *   another password.
 * @spec client-server-api#relationship-between-access-tokens-and-devices
 */
export async function issueTokens(
  hs: Homeserver,
  { deviceKey, userKey, passwordHash }: DeviceToAdmit,
  { refreshable }: { readonly refreshable: boolean },
): Promise<IssuedTokens | undefined> {
  const { tokens, pair } = makePair(hs, refreshable);
  const ended = await hs.sql.begin(async (tx) => {
    if (!(await lockDevice(tx, { deviceKey, passwordHash }))) return undefined;
    return await insertFirstPair(tx, deviceKey, pair);
  });
  if (ended === undefined) return undefined;
  if (ended > 0) await changeAccount(hs, userKey, {});
  return tokens;
}

/**
 * Gives a device its next tokens. The old ones stay valid until a new one is used, so that a client
 * that never got the answer can ask again.
 *
 * @throws MatrixError M_UNKNOWN_TOKEN if the refresh token is none, was used, or has expired;
 *   M_USER_LOCKED.
 * @spec client-server-api#refreshing-access-tokens
 */
export async function refreshTokens(hs: Homeserver, refreshToken: string): Promise<IssuedTokens> {
  const { tokens, pair } = makePair(hs, true);
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

function makePair(hs: Homeserver, refreshable: boolean): { tokens: IssuedTokens; pair: NewPair } {
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
