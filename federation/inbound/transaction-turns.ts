import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * How many transactions of one server are in memory: the one that is being taken in, and those that wait
 * for it. A server that keeps to the rules sends the next when it has the answer.
 */
const MOST_OF_ONE_SERVER = 3;

/** When a server that has sent too much may come again. */
const RETRY_MS = 2_000;

/** By server, and in order: their answers by transaction ID. */
const turnsOf = held(() => new Map<ServerName, Map<string, Promise<string>>>());

/**
 * Takes in a server's transactions one after the other, so that its events keep their order; the same
 * one, sent again before it was answered, only once. Whoever sends faster than that waits.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED if too many wait already.
 */
export async function inServersTurn(
  hs: Homeserver,
  { origin, txnId }: { readonly origin: ServerName; readonly txnId: string },
  takeIn: () => Promise<string>,
): Promise<string> {
  const turns = turnsOf(hs);
  const own = turns.get(origin) ?? new Map<string, Promise<string>>();
  const same = own.get(txnId);
  if (same) return await same;
  if (own.size >= MOST_OF_ONE_SERVER) {
    throw new MatrixError("M_LIMIT_EXCEEDED", "Wait for the answer to one transaction", {
      fields: { retry_after_ms: RETRY_MS },
    });
  }
  const before = [...own.values()].at(-1) ?? Promise.resolve();
  const answer = before.then(takeIn, takeIn);
  turns.set(origin, own.set(txnId, answer));
  try {
    return await answer;
  } finally {
    own.delete(txnId);
    if (own.size === 0) turns.delete(origin);
  }
}
