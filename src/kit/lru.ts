import { LRUCache } from "lru-cache";

/**
 * A map that forgets what was used least when it grows over a size. It takes memory as it fills: told
 * the number of its entries as `max`, the library would take all of it at once.
 *
 * @param most the most entries.
 * @param options for how long (ms) they are kept, and what is done when one is forgotten.
 */
export function lru<K extends {}, V extends {}>(
  most: number,
  options: Pick<LRUCache.Options<K, V, unknown>, "ttl" | "dispose"> = {},
): LRUCache<K, V> {
  return new LRUCache<K, V>({ ...options, maxSize: most, sizeCalculation: one });
}

function one(): number {
  return 1;
}
