import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { Turns } from "#src/kit/turns.ts";
import { networkOf } from "./network-of.ts";

/**
 * Of how many requests of one network it is found out at once which server they are from, and how many more may wait
 * for that. It takes a millisecond, or ten seconds where a server must be asked for its keys that does not answer:
 * who names many such must not have us ask all of them.
 */
const AT_ONCE = 100;
const MOST_WAITING = 1_000;

/** When one who finds that too many wait may come again. */
const RETRY_MS = 10_000;

const turnsOf = held(() => new Map<string, { readonly turns: Turns; users: number }>());

/**
 * Finds out whom a request is from, when the turn of its network comes.
 *
 * @param ip the address that it comes from.
 * @throws MatrixError M_LIMIT_EXCEEDED if too many from there wait already.
 */
export async function inOriginTurn<T>(
  hs: Homeserver,
  ip: string,
  check: () => Promise<T>,
): Promise<T> {
  const network = networkOf(ip);
  const its = turnsOf(hs).get(network) ?? { turns: new Turns(AT_ONCE, MOST_WAITING), users: 0 };
  turnsOf(hs).set(network, its);
  its.users++;
  try {
    const turn = await its.turns.take(check);
    if (turn) return turn.done;
  } finally {
    if (--its.users === 0) turnsOf(hs).delete(network);
  }
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many requests at once", {
    fields: { retry_after_ms: RETRY_MS },
  });
}
