import type { Appservice } from "#src/config/appservice.ts";
import { looksAfterUser, senderOf } from "#src/config/registered-appservices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseUserId, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findMasked, type MaskedRow } from "./queries-masks.ts";
import { type KnownToken, tokenCacheOf } from "./token-cache.ts";

/** What deployed bridges call `device_id` (MSC3202), beside its own name. */
const DEVICE_PARAMETERS = ["device_id", "org.matrix.msc3202.device_id"];

/**
 * Whom an application service speaks for in a request: its own user, or the one that it names, on the device that it
 * names or on none.
 *
 * @throws MatrixError M_FORBIDDEN of a user that is not its own to speak for, or that nobody has registered;
 *   M_UNKNOWN_DEVICE of a device that the user has not; M_USER_DEACTIVATED; M_INVALID_PARAM.
 * @spec application-service-api#identity-assertion
 */
export async function masqueradeAs(
  hs: Homeserver,
  appservice: Appservice,
  query: URLSearchParams,
): Promise<KnownToken> {
  const own = senderOf(hs.config, appservice);
  const named = query.get("user_id");
  const userId = named === null ? own : parseUserId(named);
  if (!looksAfterUser(hs.config, appservice, userId)) {
    throw new MatrixError("M_FORBIDDEN", "The application service cannot speak for this user");
  }
  const deviceId = DEVICE_PARAMETERS.map((it) => query.get(it)).find((it) => it !== null) ?? "";
  const name = `mask ${JSON.stringify([appservice.id, userId, deviceId])}` as const;
  const cache = tokenCacheOf(hs);
  const known = cache.get(name);
  if (known) return known;
  const { epoch } = cache;
  const row = await findMasked(hs.sql, { userId, deviceId });
  const isUnlimited = userId === own || !appservice.isRateLimited;
  const found = knownOf(userId, deviceId, { appserviceId: appservice.id, isUnlimited }, row);
  cache.set(name, found, epoch);
  return found;
}

function knownOf(
  userId: UserId,
  deviceId: string,
  asked: { readonly appserviceId: string; readonly isUnlimited: boolean },
  row: MaskedRow | undefined,
): KnownToken {
  if (!row) throw new MatrixError("M_FORBIDDEN", "The user is not registered");
  if (row.isDeactivated) {
    throw new MatrixError("M_USER_DEACTIVATED", "This account has been deactivated");
  }
  if (deviceId !== "" && row.deviceKey === null) {
    throw new MatrixError("M_UNKNOWN_DEVICE", "The user has no such device");
  }
  return {
    requester: {
      userId,
      userKey: row.userKey,
      deviceId,
      deviceKey: row.deviceKey ?? -row.userKey,
      isAdmin: row.isAdmin,
      isGuest: row.isGuest,
      isSuspended: row.isSuspended,
      ...asked,
    },
    expiresAtMs: undefined,
    isLocked: row.isLocked,
  };
}
