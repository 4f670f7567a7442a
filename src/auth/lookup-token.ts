import type { Appservice } from "#src/config/appservice.ts";
import { appserviceOfToken } from "#src/config/registered-appservices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { Requester } from "#src/kit/requester.ts";
import { changeAccount } from "./accounts-stream.ts";
import { noteSeen, type SeenFrom } from "./last-seen.ts";
import { masqueradeAs } from "./masquerade.ts";
import { requireUnmoderated } from "./moderated-accounts.ts";
import { endReplacedPair, findByAccessHash, type StoredPair } from "./queries-tokens.ts";
import { tokenHash } from "./secret-tokens.ts";
import { type KnownToken, tokenCacheOf } from "./token-cache.ts";

/** What a token is shown for, and from where. */
export type TokenUse = SeenFrom & {
  readonly operation: OperationId;
  readonly query: () => URLSearchParams;
  /** Limits how many tokens may be shown that are none: each costs a query. */
  readonly tries?: Allowance;
};

/**
 * Finds out who an access token speaks for. Answers at once, without a query, for a token that this
 * process has seen before.
 *
 * @throws MatrixError M_UNKNOWN_TOKEN if it is none or no longer valid, with `soft_logout` if it has
 *   merely expired; M_LIMIT_EXCEEDED; M_USER_LOCKED; M_USER_SUSPENDED if the operation is not for suspended users.
 * @spec client-server-api#using-access-tokens
 */
export function lookupToken(
  hs: Homeserver,
  token: string,
  use: TokenUse,
): Requester | Promise<Requester> {
  const known = tokenCacheOf(hs).get(`token ${token}`);
  if (known) return admit(hs, known, use);
  const appservice = appserviceOfToken(hs.config, token);
  if (appservice) return admitAppservice(hs, appservice, use);
  return admitUnknown(hs, token, use);
}

/** @throws MatrixError what `masqueradeAs` throws, and what `requireUnmoderated` throws of the user. */
async function admitAppservice(
  hs: Homeserver,
  appservice: Appservice,
  use: TokenUse,
): Promise<Requester> {
  const query = SAYS_OF_WHOM.has(use.operation) ? new URLSearchParams() : use.query();
  const known = await masqueradeAs(hs, appservice, query);
  if (known.requester.deviceId === "" && NEEDS_DEVICE.has(use.operation)) {
    throw new MatrixError("M_MISSING_PARAM", "Missing device_id: this is done for a device");
  }
  return admit(hs, known, use);
}

/** What belongs to a device, and so is not for an application service that names none. */
const NEEDS_DEVICE: ReadonlySet<OperationId> = new Set([
  "uploadKeys",
  "postPusher",
  "slidingSync",
  "slidingSyncDeployed",
]);

/** Where `user_id` is whom a request is about. So it can not say whom it speaks for: that is the application service's own user. */
const SAYS_OF_WHOM: ReadonlySet<OperationId> = new Set(["getMutualRooms"]);

async function admitUnknown(hs: Homeserver, token: string, use: TokenUse): Promise<Requester> {
  const cache = tokenCacheOf(hs);
  const { epoch } = cache;
  use.tries?.require();
  const pair = await findByAccessHash(hs.sql, tokenHash(token));
  if (!pair) {
    use.tries?.count(1);
    throw new MatrixError("M_UNKNOWN_TOKEN", "Unknown access token");
  }

  const known = knownToken(pair);
  const requester = admit(hs, known, use);
  const { tokenKey, replaces } = pair;
  if (replaces === null) {
    cache.set(`token ${token}`, known, epoch);
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
  if (requester.deviceKey > 0) noteSeen(hs, requester.deviceKey, use);
  return requester;
}
