import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** How many more failures an account may have at once, and when that was true. */
type Allowance = { left: number; atMs: number };

const allowancesOf = held(() => lru<UserId, Allowance>(100_000));

/**
 * Refuses to check another password of an account for which too many were wrong, from wherever they
 * came. The limit is that of log-ins; only failures count.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED with when to come again.
 */
export function requireFewFailures(hs: Homeserver, userId: UserId): void {
  const { enabled, login } = hs.config.rateLimits;
  const left = allowanceOf(hs, userId);
  if (!enabled || left >= 1) return;
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many wrong passwords", {
    fields: { retry_after_ms: Math.ceil(((1 - left) / login.perSecond) * 1000) },
  });
}

/** Counts a wrong password. */
export function countFailure(hs: Homeserver, userId: UserId): void {
  const left = allowanceOf(hs, userId) - 1;
  allowancesOf(hs).set(userId, { left, atMs: hs.now() });
}

function allowanceOf(hs: Homeserver, userId: UserId): number {
  const { perSecond, burst } = hs.config.rateLimits.login;
  const known = allowancesOf(hs).get(userId);
  if (!known) return burst;
  return Math.min(burst, known.left + ((hs.now() - known.atMs) / 1000) * perSecond);
}
