import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";

/** Of how many things the last change is remembered. */
const MOST = 50_000;

/**
 * The last change of a stream about each of many things, of those that have changed lately, in whatever process. Where nothing
 * has been written since what the tail has heard of, that is what the database has of them.
 *
 * @param keyOf says which thing a change is about.
 */
export function lastChangesOf(
  stream: string,
  keyOf: (change: Change) => string,
): (hs: Homeserver) => { get(key: string): Change | undefined } {
  return held((hs) => {
    const last = lru<string, Change>(MOST);
    tailOf(hs).listen({
      changed(changes) {
        for (const it of changes) if (it.stream === stream) last.set(keyOf(it), it);
      },
      missed: () => last.clear(),
    });
    return last;
  });
}
