import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { processesAlive } from "#src/streams/presence.ts";
import type { RateClass } from "./endpoint.ts";
import { networkOf } from "./network-of.ts";

/** How many tokens someone has left, and when that was true. */
type Bucket = { tokens: number; atMs: number };

const bucketsOf = held(() => lru<string, Bucket>(100_000));

/**
 * Counts a request against the limit of its class: a token bucket for each user, and one, larger, for all users
 * of an address together, so that many accounts are worth little more than one. Who is not logged in has the
 * address alone, and so has another server its name.
 *
 * The limits are the server's: of several processes each gives out its share, from memory. That is fair where
 * requests are spread evenly over the processes, and promises nobody anything where they are not.
 *
 * @param count how often it counts. What counts for much is let through while half of what may come at once is left, and
 *   then it takes as long until more is.
 * @throws MatrixError M_LIMIT_EXCEEDED with when to come again.
 * @spec client-server-api#rate-limiting
 */
export function checkRate(
  hs: Homeserver,
  rate: RateClass,
  who: { readonly userId?: string | undefined; readonly ip: string },
  count = 1,
): void {
  const { enabled, addressFactor, ...limits } = hs.config.rateLimits;
  if (!enabled || rate === "none") return;
  const share = 1 / processesAlive(hs);
  const limit = limits[rate];
  const its = { limit, factor: share, count };
  if (who.userId === undefined) take(hs, `${rate} ${networkOf(who.ip)}`, its);
  else {
    // The address is asked first: who is told to wait by it loses nothing of their own.
    const ofAll = { ...its, factor: share * addressFactor };
    if (who.ip !== "") take(hs, `${rate} all ${networkOf(who.ip)}`, ofAll);
    take(hs, `${rate} ${who.userId}`, its);
  }
}

/**
 * Refuses an address that has used up what it may do without being known, as `checkRate` does, and counts nothing.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED with when to come again.
 */
export function requireRateLeft(hs: Homeserver, ip: string): void {
  const { enabled, default: limit } = hs.config.rateLimits;
  if (!enabled) return;
  tokensLeft(hs, `default ${networkOf(ip)}`, { limit, factor: 1 / processesAlive(hs), count: 1 });
}

/** How much of what a request asks for counts as another request. */
const SIZE_OF_ONE = 100;

/**
 * Counts how much a request asks for, beside the request itself.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED
 */
export function checkSize(
  hs: Homeserver,
  rate: RateClass,
  { requester, ip }: { readonly requester: Requester; readonly ip: string },
  size: number,
): void {
  const { userId, isUnlimited = false } = requester;
  const count = Math.floor(size / SIZE_OF_ONE);
  if (count > 0 && !isUnlimited) checkRate(hs, rate, { userId, ip }, count);
}

type Taking = {
  readonly limit: { readonly perSecond: number; readonly burst: number };
  readonly factor: number;
  readonly count: number;
};

function take(hs: Homeserver, key: string, taking: Taking): void {
  const tokens = tokensLeft(hs, key, taking);
  bucketsOf(hs).set(key, { tokens: tokens - taking.count, atMs: hs.now() });
}

/** What is in a bucket now. @throws MatrixError M_LIMIT_EXCEEDED if that is not enough. */
function tokensLeft(hs: Homeserver, key: string, { limit, factor, count }: Taking): number {
  const perSecond = limit.perSecond * factor;
  const burst = Math.max(1, limit.burst * factor);
  const now = hs.now();
  const bucket = bucketsOf(hs).get(key) ?? { tokens: burst, atMs: now };
  const tokens = Math.min(burst, bucket.tokens + ((now - bucket.atMs) / 1000) * perSecond);
  const needed = Math.min(count, Math.max(1, burst / 2));
  if (tokens >= needed) return tokens;
  const retryMs = Math.ceil(((needed - tokens) / perSecond) * 1000);
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many requests", {
    fields: { retry_after_ms: retryMs },
  });
}
