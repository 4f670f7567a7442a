import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { checkRate } from "#src/http/rate-limit.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { Requester } from "#src/kit/requester.ts";

/**
 * Counts a piece of state by which somebody is invited, now or later, as the invitation that it is.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED
 */
export function countInvitation(
  hs: Homeserver,
  { requester, ip }: { readonly requester: Requester; readonly ip: string },
  { type, content }: { readonly type: string; readonly content: CanonicalObject },
): void {
  const invites = type === "m.room.member" && content["membership"] === "invite";
  if (!invites || requester.isUnlimited) return;
  checkRate(hs, "invite", { userId: requester.userId, ip });
}
