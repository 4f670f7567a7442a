import type { Homeserver } from "./homeserver.ts";

/**
 * Something that a domain holds in memory for as long as the process lives, such as a cache: made
 * when it is first asked for, one for each homeserver.
 *
 * @returns a function that gives it.
 */
export function held<T>(make: (hs: Homeserver) => T): (hs: Homeserver) => T {
  const made = new WeakMap<Homeserver, T>();
  return (hs) => {
    let it = made.get(hs);
    if (it === undefined) {
      it = make(hs);
      made.set(hs, it);
    }
    return it;
  };
}
