import { LRUCache } from "lru-cache";

/**
 * A map that forgets what was used least when it grows over a size. It takes memory as it fills: told
 * the number of its entries as `max`, the library would take all of it at once.
 *
 * @param most the most entries.
 */
export function lru<K extends {}, V extends {}>(most: number): LRUCache<K, V> {
  return new LRUCache<K, V>({ maxSize: most, sizeCalculation: one });
}

function one(): number {
  return 1;
}
