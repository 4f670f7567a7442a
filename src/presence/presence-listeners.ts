import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";
import { PRESENCE } from "./presence-stream.ts";
import type { Presence } from "./presence.ts";

/** How often those who wait for news are told of others' presence. The first after a calm is told at once. */
const TELL_MS = 5_000;

/**
 * Tells whose presence has become news: of many together, so that people who come and go wake nobody more
 * often than each few seconds.
 *
 * @param tell gets the users' keys.
 */
export function listenToPresence(
  hs: Homeserver,
  tell: (userKeys: readonly number[]) => Promise<void>,
): void {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  const users = new Set<number>();
  const tellAll = async () => {
    timer = undefined;
    toldAtMs = performance.now();
    const userKeys = [...users];
    users.clear();
    try {
      await tell(userKeys);
    } catch (error) {
      // They hear of it with whatever is news next.
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot tell of presence");
    }
  };
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, detail } of changes) {
        if (stream === PRESENCE) users.add((detail as Presence).userKey);
      }
      if (users.size === 0) return;
      timer ??= setTimeout(
        () => void tellAll(),
        Math.max(0, toldAtMs + TELL_MS - performance.now()),
      );
    },
    missed: () => {},
  });
  hs.stopping.addEventListener("abort", () => clearTimeout(timer));
}
