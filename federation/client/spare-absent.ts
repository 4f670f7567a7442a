import { LRUCache } from "lru-cache";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Ask, AskOptions, RemoteAnswer } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { FROM_BETWEEN } from "./ask-server.ts";
import { onHeardFrom } from "./heard-from.ts";

/** How soon a server that has not answered is asked again: at first, doubled with each failure, up to the last. */
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;

/** Who waits for less than this cannot say that a server is away. */
const LEAST_PATIENCE_MS = 5_000;

type Absence = { readonly untilMs: UnixMs; readonly failures: number };

/** Servers that have not answered lately, and have not been heard of since. */
const absencesOf = held((hs) => {
  const absences = new LRUCache<ServerName, Absence>({ max: 10_000 });
  onHeardFrom(hs, (server) => absences.delete(server));
  return absences;
});

/**
 * Asks no server that has just shown that it is not there: whoever waits for the answer, and for those of others,
 * is told so at once. As soon as anything is heard of it, it is asked again.
 */
export function sparingAbsent<Q, T>(hs: Homeserver, ask: Ask<Q, T>): Ask<Q, T> {
  return async (server, question, options) => {
    const absence = absencesOf(hs).get(server);
    if (absence && absence.untilMs > hs.now()) {
      return { ok: false, why: "unreachable", cause: new Error("it has not answered lately") };
    }
    const answer = await ask(server, question, options);
    if (isAway(hs, answer, options)) {
      const failures = (absencesOf(hs).get(server)?.failures ?? 0) + 1;
      const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
      absencesOf(hs).set(server, { failures, untilMs: hs.now() + waitMs });
    }
    return answer;
  };
}

function isAway(
  hs: Homeserver,
  answer: RemoteAnswer<unknown>,
  { timeoutMs = hs.config.federation.requestTimeoutMs, signal }: AskOptions = {},
): boolean {
  if (answer.ok || signal?.aborted || timeoutMs < LEAST_PATIENCE_MS) return false;
  return (
    answer.why === "unreachable" || (answer.why === "refused" && FROM_BETWEEN.has(answer.status))
  );
}
