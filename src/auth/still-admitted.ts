import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { userLocked } from "./moderated-accounts.ts";
import { standingOfDevice } from "./queries-tokens.ts";
import { tokenCacheOf } from "./token-cache.ts";

/**
 * Begins to watch over a request that waits: who is logged out or locked meanwhile is to be told nothing of what has happened
 * since. A token that has merely been replaced, or is over, was good when the request was made.
 *
 * @returns what requires that they may still be answered: to be called when it is known what they would be told. It costs no
 *   query unless the account has changed since the request began.
 */
export function watchAdmission(
  hs: Homeserver,
  { userKey, deviceKey }: Pick<Requester, "userKey" | "deviceKey">,
): () => Promise<void> {
  const cache = tokenCacheOf(hs);
  let { epoch } = cache;
  return async () => {
    if (!cache.hasForgotten(userKey, epoch)) return;
    ({ epoch } = cache);
    const standing = await standingOfDevice(hs.sql, { userKey, deviceKey });
    if (!standing?.isThere) throw new MatrixError("M_UNKNOWN_TOKEN", "The device is logged out");
    if (standing.isLocked) throw userLocked();
  };
}
