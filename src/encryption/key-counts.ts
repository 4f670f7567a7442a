import { DEVICES } from "#src/devices/devices-stream.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { tailOf } from "#src/streams/tail.ts";
import { KEY_SUPPLY } from "./key-supply.ts";

/** How many unclaimed keys a device has here: what every sync of the device says, under these names. */
export type KeyCounts = {
  readonly device_one_time_keys_count: Readonly<Record<string, number>>;
  readonly device_unused_fallback_key_types: readonly string[];
};

/** The algorithm that clients use; they wait to be told of it even when they have no keys of it. */
const ALGORITHM = "signed_curve25519";

const cacheOf = held((hs) => {
  const cache = lru<number, Promise<KeyCounts>>(100_000);
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, deviceKey } of changes) {
        const isOurs = stream === KEY_SUPPLY || stream === DEVICES;
        if (isOurs && deviceKey !== undefined) cache.delete(deviceKey);
      }
    },
    missed: () => cache.clear(),
  });
  return cache;
});

/**
 * How many one-time keys a device has, and of which algorithms it has a fallback key that nobody has
 * been given. Kept in memory until that changes, in whatever process.
 *
 * @spec client-server-api#extensions-to-sync-e2e-extensions-to-sync
 */
export async function keyCountsOf(hs: Homeserver, deviceKey: number): Promise<KeyCounts> {
  const cache = cacheOf(hs);
  const known = cache.get(deviceKey);
  if (known) return await known;
  // The promise is kept, so that a change that comes while it loads makes it be forgotten.
  const loading = load(hs, deviceKey);
  cache.set(deviceKey, loading);
  try {
    return await loading;
  } catch (error) {
    if (cache.peek(deviceKey) === loading) cache.delete(deviceKey);
    throw error;
  }
}

async function load(hs: Homeserver, deviceKey: number): Promise<KeyCounts> {
  const rows = await hs.sql<{ algorithm: string; count: number | null }[]>`
    select algorithm, count(*) as count from one_time_keys
    where device_key = ${deviceKey} group by algorithm
    union all
    select algorithm, null from fallback_keys where device_key = ${deviceKey} and not used`;
  return {
    device_one_time_keys_count: countsByAlgorithm(
      rows.flatMap(({ algorithm, count }) => (count === null ? [] : [{ algorithm, count }])),
    ),
    device_unused_fallback_key_types: rows.flatMap((it) =>
      it.count === null ? [it.algorithm] : [],
    ),
  };
}

/** Counts as they go over the wire. */
export function countsByAlgorithm(
  counts: readonly { readonly algorithm: string; readonly count: number }[],
): Record<string, number> {
  return Object.fromEntries([
    [ALGORITHM, 0],
    ...counts.map((it): [string, number] => [it.algorithm, it.count]),
  ]);
}
