import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { processesAlive } from "#src/streams/presence.ts";
import type { RateClass } from "./endpoint.ts";
import { networkOf } from "./network-of.ts";

/** How many tokens someone has left, and when that was true, by the clock that nobody sets. */
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
export function checkRate(hs: Homeserver, rate: RateClass, who: Who, count = 1): void {
  for (const its of takingsOf(hs, rate, who, count)) {
    const tokens = tokensLeft(hs, its);
    bucketsOf(hs).set(its.key, { tokens: tokens - count, atMs: performance.now() });
  }
}

/** What who sent a request may still have of a class. */
export function allowanceOf(
  hs: Homeserver,
  rate: RateClass,
  { requester, ip }: { readonly requester?: Requester | undefined; readonly ip: string },
): Allowance {
  const who = { userId: requester?.userId, ip };
  const takings = requester?.isUnlimited ? [] : takingsOf(hs, rate, who, 1);
  return {
    require() {
      for (const its of takings) tokensLeft(hs, its);
    },
    count(much) {
      const atMs = performance.now();
      for (const its of takings) {
        bucketsOf(hs).set(its.key, { tokens: tokensNow(hs, its) - much, atMs });
      }
    },
  };
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

type Who = { readonly userId?: string | undefined; readonly ip: string };

/** Something that is taken out of a bucket. */
type Taking = {
  readonly key: string;
  readonly limit: { readonly perSecond: number; readonly burst: number };
  readonly factor: number;
  readonly count: number;
};

/** What is taken for a request, and where. */
function takingsOf(hs: Homeserver, rate: RateClass, who: Who, count: number): readonly Taking[] {
  const { enabled, addressFactor, ...limits } = hs.config.rateLimits;
  if (!enabled || rate === "none") return [];
  const share = 1 / processesAlive(hs);
  const its = { limit: limits[rate], factor: share, count };
  if (who.userId === undefined) return [{ ...its, key: `${rate} ${networkOf(who.ip)}` }];
  const own = { ...its, key: `${rate} ${who.userId}` };
  if (who.ip === "") return [own];
  const ofAll = { ...its, key: `${rate} all ${networkOf(who.ip)}`, factor: share * addressFactor };
  // The address is asked first: who is told to wait by it loses nothing of their own.
  return [ofAll, own];
}

/** What is in a bucket now. @throws MatrixError M_LIMIT_EXCEEDED if that is not enough. */
function tokensLeft(hs: Homeserver, taking: Taking): number {
  const tokens = tokensNow(hs, taking);
  const needed = Math.min(taking.count, Math.max(1, burstOf(taking) / 2));
  if (tokens >= needed) return tokens;
  const retryMs = Math.ceil(((needed - tokens) / (taking.limit.perSecond * taking.factor)) * 1000);
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many requests", {
    fields: { retry_after_ms: retryMs },
  });
}

function tokensNow(hs: Homeserver, taking: Taking): number {
  const { key, limit, factor } = taking;
  const burst = burstOf(taking);
  const bucket = bucketsOf(hs).get(key);
  if (!bucket) return burst;
  const passedMs = performance.now() - bucket.atMs;
  return Math.min(burst, bucket.tokens + (passedMs / 1000) * limit.perSecond * factor);
}

function burstOf({ limit, factor }: Taking): number {
  return Math.max(1, limit.burst * factor);
}
