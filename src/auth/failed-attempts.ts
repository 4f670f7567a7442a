import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** How many more failures an account may have at once, and when that was true. */
type Allowance = { left: number; atMs: number };

const allowancesOf = held(() => lru<UserId, Allowance>(100_000));

/**
 * Checks a password of an account, unless too many were wrong, from wherever they came. The limit is
 * that of log-ins; only failures count. One that is being checked counts as a failure until it is known
 * to be none: else whoever guesses many at once would have as many guesses.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED with when to come again; and what `check` throws.
 */
export async function checkWithinLimit(
  hs: Homeserver,
  userId: UserId,
  check: () => Promise<boolean>,
): Promise<boolean> {
  const { enabled, login } = hs.config.rateLimits;
  const left = allowanceOf(hs, userId);
  if (enabled && left < 1) {
    throw new MatrixError("M_LIMIT_EXCEEDED", "Too many wrong passwords", {
      fields: { retry_after_ms: Math.ceil(((1 - left) / login.perSecond) * 1000) },
    });
  }
  allow(hs, userId, -1);
  let isWrong = false;
  try {
    isWrong = !(await check());
  } finally {
    if (!isWrong) allow(hs, userId, 1);
  }
  return !isWrong;
}

function allow(hs: Homeserver, userId: UserId, more: number): void {
  allowancesOf(hs).set(userId, { left: allowanceOf(hs, userId) + more, atMs: performance.now() });
}

function allowanceOf(hs: Homeserver, userId: UserId): number {
  const { perSecond, burst } = hs.config.rateLimits.login;
  const known = allowancesOf(hs).get(userId);
  if (!known) return burst;
  return Math.min(burst, known.left + ((performance.now() - known.atMs) / 1000) * perSecond);
}
