import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { canonicalJson, NotCanonicalError } from "#src/kit/canonical-json.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { filterFromText } from "./filter-from-text.ts";
import { Filter, NO_FILTER } from "./filter.ts";
import { deleteFilters, filterById, insertFilter } from "./queries-filters.ts";

/** The most that a filter may take, in bytes. */
const MOST_BYTES = 65_536;

/** The most filters of one user that are kept. */
const MOST_FILTERS = 500;

/** A stored filter never changes, so it may be kept. */
type Stored = { readonly json: string; readonly filter: Filter };
const cacheOf = held(() => lru<string, Stored>(10_000));

/**
 * Stores a user's filter. The same filter has the same ID, also years later.
 *
 * @param definition what the client sent, which `Filter` has found good; unknown keys are kept.
 * @returns the filter's ID.
 * @throws MatrixError M_BAD_JSON for what canonical JSON cannot hold, M_TOO_LARGE.
 * @spec client-server-api#post_matrixclientv3useruseridfilter
 */
export async function defineFilter(
  hs: Homeserver,
  userKey: number,
  definition: unknown,
): Promise<string> {
  const json = normalised(definition);
  if (Buffer.byteLength(json) > MOST_BYTES) {
    throw new MatrixError("M_TOO_LARGE", `The filter is larger than ${MOST_BYTES} bytes`);
  }
  const filterId = createHash("sha256").update(json).digest("base64url").slice(0, 22);
  await insertFilter(hs.sql, { userKey, filterId, json, now: hs.now() }, MOST_FILTERS);
  return filterId;
}

function normalised(definition: unknown): string {
  try {
    return canonicalJson(definition);
  } catch (cause) {
    if (!(cause instanceof NotCanonicalError)) throw cause;
    throw new MatrixError("M_BAD_JSON", `The filter is not canonical JSON: ${cause.path}`, {
      cause,
    });
  }
}

/** A user's filter, as it was sent and as it is understood. */
export async function findFilter(
  hs: Homeserver,
  userKey: number,
  filterId: string,
): Promise<Stored | undefined> {
  const cache = cacheOf(hs);
  const cacheKey = `${userKey} ${filterId}`;
  const known = cache.get(cacheKey);
  if (known) return known;
  const json = await filterById(hs.sql, userKey, filterId);
  if (json === undefined) return undefined;
  const stored = { json, filter: Filter.parse(JSON.parse(json)) };
  cache.set(cacheKey, stored);
  return stored;
}

/**
 * The filter that a request names: by its ID, or as JSON in the parameter itself.
 *
 * @param value the query parameter; null if there is none.
 * @throws MatrixError M_INVALID_PARAM for an ID that we do not know, and for what is no filter.
 * @spec client-server-api#get_matrixclientv3sync
 */
export async function filterFromParameter(
  hs: Homeserver,
  userKey: number,
  value: string | null | undefined,
): Promise<Filter> {
  if (value === null || value === undefined || value === "") return NO_FILTER;
  if (value.startsWith("{")) return inlineFilter(hs, value);
  const stored = await findFilter(hs, userKey, value);
  if (!stored) throw new MatrixError("M_INVALID_PARAM", "No such filter");
  return stored.filter;
}

/** Clients that send their filter along send the same one with each request. */
const inlineOf = held(
  () =>
    new LRUCache<string, Filter>({
      max: 1_000,
      maxSize: 10_000_000,
      sizeCalculation: (_, text) => text.length + 500,
    }),
);

function inlineFilter(hs: Homeserver, text: string): Filter {
  const known = inlineOf(hs).get(text);
  if (known) return known;
  const filter = filterFromText(Filter, text);
  inlineOf(hs).set(text, filter);
  return filter;
}

/** Forgets the filters of a user whose account has ended. */
export async function forgetFilters(hs: Homeserver, userKey: number): Promise<void> {
  await deleteFilters(hs.sql, userKey);
}
