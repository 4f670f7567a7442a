import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { Requester } from "#src/kit/requester.ts";
import { changeAccount } from "./accounts-stream.ts";
import { noteSeen } from "./last-seen.ts";
import { requireUnmoderated } from "./moderated-accounts.ts";
import { endReplacedPair, findByAccessHash, type StoredPair } from "./queries-tokens.ts";
import { tokenHash } from "./secret-tokens.ts";
import { type KnownToken, tokenCacheOf } from "./token-cache.ts";

/** What a token is shown for, and from where. */
export type TokenUse = { readonly operation: OperationId; readonly ip: string };

/**
 * Finds out who an access token speaks for. Answers at once, without a query, for a token that this
 * process has seen before.
 *
 * @throws MatrixError M_UNKNOWN_TOKEN if it is none or no longer valid, with `soft_logout` if it has
 *   merely expired; M_USER_LOCKED; M_USER_SUSPENDED if the operation is not for suspended users.
 * @spec client-server-api#using-access-tokens
 */
export function lookupToken(
  hs: Homeserver,
  token: string,
  use: TokenUse,
): Requester | Promise<Requester> {
  const known = tokenCacheOf(hs).get(token);
  return known ? admit(hs, known, use) : admitUnknown(hs, token, use);
}

async function admitUnknown(hs: Homeserver, token: string, use: TokenUse): Promise<Requester> {
  const cache = tokenCacheOf(hs);
  const { epoch } = cache;
  const pair = await findByAccessHash(hs.sql, tokenHash(token));
  if (!pair) throw new MatrixError("M_UNKNOWN_TOKEN", "Unknown access token");

  const known = knownToken(pair);
  const requester = admit(hs, known, use);
  const { tokenKey, replaces } = pair;
  if (replaces === null) {
    cache.set(token, known, epoch);
  } else {
    // The first use of a new pair: the client has got it, and needs the old one no longer.
    const ended = await endReplacedPair(hs.sql, { tokenKey, replaces }, hs.now());
    if (ended) await changeAccount(hs, pair.userKey, {});
  }
  return requester;
}

function knownToken(pair: StoredPair): KnownToken {
  return {
    requester: {
      userId: pair.userId,
      userKey: pair.userKey,
      deviceId: pair.deviceId,
      deviceKey: pair.deviceKey,
      isAdmin: pair.isAdmin,
      isGuest: pair.isGuest,
      isSuspended: pair.isSuspended,
    },
    expiresAtMs: pair.accessExpiresAtMs ?? undefined,
    isLocked: pair.isLocked,
  };
}

function admit(hs: Homeserver, { requester, expiresAtMs, isLocked }: KnownToken, use: TokenUse) {
  if (expiresAtMs !== undefined && expiresAtMs <= hs.now()) {
    const fields = { soft_logout: true };
    throw new MatrixError("M_UNKNOWN_TOKEN", "The access token has expired", { fields });
  }
  requireUnmoderated({ isLocked, isSuspended: requester.isSuspended ?? false }, use.operation);
  noteSeen(hs, requester.deviceKey, use.ip);
  return requester;
}
