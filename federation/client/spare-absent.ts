import type { AskOptions } from "#src/homeserver/ask-options.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Ask, RemoteAnswer } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { OutboundError, type OutboundFault } from "#src/outbound/outbound-failure.ts";
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
  const absences = lru<ServerName, Absence>(10_000);
  onHeardFrom(hs, (server) => absences.delete(server));
  return absences;
});

/**
 * Asks no server that has just shown that it is not there: whoever waits for the answer, and for those of others,
 * is told so at once. As soon as anything is heard of it, it is asked again; after a while, by one of those who want to.
 */
export function sparingAbsent<Q, T>(hs: Homeserver, ask: Ask<Q, T>): Ask<Q, T> {
  return async (server, question, options) => {
    const absences = absencesOf(hs);
    const absence = absences.get(server);
    const waitMs = absence ? absence.untilMs - hs.now() : 0;
    // So long nobody is spared: the clock has been set back.
    if (waitMs > 0 && waitMs <= LONGEST_WAIT_MS) {
      return { ok: false, why: "unreachable", cause: new Error("it has not answered lately") };
    }
    if (absence) absences.set(server, { ...absence, untilMs: hs.now() + LONGEST_WAIT_MS });
    const answer = await ask(server, question, options);
    if (isAway(hs, answer, options)) {
      const failures = (absence?.failures ?? 0) + 1;
      const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
      absences.set(server, { failures, untilMs: hs.now() + waitMs });
    } else if (answer.ok) absences.delete(server);
    // Whoever has given up has not learnt whether it is there.
    else if (absence && absences.has(server)) absences.set(server, absence);
    return answer;
  };
}

/** As `sparingAbsent`, for those alone who ask for that. */
export function sparingIfAsked<Q, T>(hs: Homeserver, ask: Ask<Q, T>): Ask<Q, T> {
  const sparing = sparingAbsent(hs, ask);
  return async (server, question, options) =>
    await (options?.sparesAbsent ? sparing : ask)(server, question, options);
}

function isAway(
  hs: Homeserver,
  answer: RemoteAnswer<unknown>,
  { timeoutMs = hs.config.federation.requestTimeoutMs, signal }: AskOptions = {},
): boolean {
  if (answer.ok || signal?.aborted || timeoutMs < LEAST_PATIENCE_MS) return false;
  if (answer.why === "refused") return FROM_BETWEEN.has(answer.status);
  const { why, cause } = answer;
  return why === "unreachable" && !(cause instanceof OutboundError && IS_THERE.has(cause.fault));
}

/** What does not tell that a server is not there. */
const IS_THERE: ReadonlySet<string> = new Set([
  "too-large",
  "redirect",
  "busy",
  "given-up",
] satisfies OutboundFault[]);
