import type { UnixMs } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";

/** How soon a server that has answered is asked again for a key that it did not have. */
const AGAIN_MS = 30_000;

/** How soon one that has not is asked again: at first, doubled with each failure, up to the last. */
const FIRST_FAILURE_MS = 10_000;
const LONGEST_FAILURE_MS = 5 * 60_000;

type Attempt = { readonly notBeforeMs: UnixMs; readonly failures: number };

/**
 * Which servers were asked for keys lately: whoever names a key that there is not must not make us ask
 * for it time and again.
 */
export type Attempts = {
  mayTry(server: ServerName, now: UnixMs): boolean;
  note(server: ServerName, now: UnixMs, hasAnswered: boolean): void;
};

/** Attempts at many servers; of too many, those long ago are forgotten. */
export function newAttempts(): Attempts {
  const attempts = lru<ServerName, Attempt>(50_000);
  return {
    mayTry(server, now) {
      const waitMs = (attempts.get(server)?.notBeforeMs ?? 0) - now;
      // So long nobody is told to wait: the clock has been set back.
      return waitMs <= 0 || waitMs > LONGEST_FAILURE_MS;
    },
    note(server, now, hasAnswered) {
      if (hasAnswered) {
        attempts.set(server, { notBeforeMs: now + AGAIN_MS, failures: 0 });
        return;
      }
      const failures = (attempts.get(server)?.failures ?? 0) + 1;
      const waitMs = Math.min(
        FIRST_FAILURE_MS * 2 ** Math.min(failures - 1, 16),
        LONGEST_FAILURE_MS,
      );
      attempts.set(server, { notBeforeMs: now + waitMs, failures });
    },
  };
}
