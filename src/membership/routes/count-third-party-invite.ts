import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { checkRate } from "#src/http/rate-limit.ts";
import type { Requester } from "#src/kit/requester.ts";

/**
 * Counts an invitation by an address, which makes another server send an e-mail, against a limit of its own.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED
 */
export function countThirdPartyInvite(hs: Homeserver, requester: Requester, ip: string): void {
  const { userId, isUnlimited = false } = requester;
  if (!isUnlimited) checkRate(hs, "thirdPartyInvite", { userId, ip });
}
