import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import type { Change } from "./stream.ts";
import { tailOf } from "./tail.ts";

type CachedByUser<T> = {
  /** What a change makes untrue. */
  readonly forgottenBy: (change: Change) => boolean;
  readonly load: (hs: Homeserver, userKey: number) => Promise<T>;
  /** For how many users it is kept. */
  readonly most: number;
};

/**
 * Something about a user, kept in memory until a change of that user makes it untrue, in whatever process.
 *
 * @returns a function that gives it, loading it if need be.
 */
export function cachedByUser<T>({
  forgottenBy,
  load,
  most,
}: CachedByUser<T>): (hs: Homeserver, userKey: number) => Promise<T> {
  const cacheOf = held((hs) => {
    const cache = lru<number, Promise<T>>(most);
    tailOf(hs).listen({
      changed(changes) {
        for (const change of changes) {
          if (change.userKey !== undefined && forgottenBy(change)) cache.delete(change.userKey);
        }
      },
      missed: () => cache.clear(),
    });
    return cache;
  });

  return async (hs, userKey) => {
    const cache = cacheOf(hs);
    const known = cache.get(userKey);
    if (known) return await known;
    // The promise is what is kept: should a change come while it loads, it is forgotten with it.
    const loading = load(hs, userKey);
    cache.set(userKey, loading);
    try {
      return await loading;
    } catch (error) {
      if (cache.peek(userKey) === loading) cache.delete(userKey);
      throw error;
    }
  };
}
