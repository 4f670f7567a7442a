import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * How many transactions of one server are in memory, whatever they have: the one that is being taken in, and those that wait
 * for it. A server that keeps to the rules sends the next when it has the answer.
 */
const MOST_OF_ANY_SIZE = 3;

/** Of one that does not, so many may wait that together have few bytes: to hold them costs less than to refuse them. */
const MOST_SMALL = 1_000;
const MOST_BYTES = 1024 * 1024;

/** When a server that has sent too much may come again. */
const RETRY_MS = 2_000;

type Turns = {
  /** By transaction ID. */
  readonly answers: Map<string, Promise<string>>;
  /** That of the transaction that came last. */
  last: Promise<unknown>;
  bytes: number;
};

const turnsOf = held(() => new Map<ServerName, Turns>());

/**
 * Takes in a server's transactions one after the other, so that its events keep their order; the same
 * one, sent again before it was answered, only once. Whoever sends faster than that waits.
 *
 * @param transaction with how long its text is.
 * @throws MatrixError M_LIMIT_EXCEEDED if too many wait already.
 */
export async function inServersTurn(
  hs: Homeserver,
  { origin, txnId, bytes }: { origin: ServerName; txnId: string; bytes: number },
  takeIn: () => Promise<string>,
): Promise<string> {
  const all = turnsOf(hs);
  const own = all.get(origin) ?? noTurns();
  const { answers } = own;
  const same = answers.get(txnId);
  if (same) return await same;
  const isSmall = answers.size < MOST_SMALL && own.bytes + bytes <= MOST_BYTES;
  if (answers.size >= MOST_OF_ANY_SIZE && !isSmall) {
    throw new MatrixError("M_LIMIT_EXCEEDED", "Wait for the answer to one transaction", {
      fields: { retry_after_ms: RETRY_MS },
    });
  }
  const answer = own.last.then(takeIn, takeIn);
  own.last = answer;
  answers.set(txnId, answer);
  own.bytes += bytes;
  all.set(origin, own);
  try {
    return await answer;
  } finally {
    answers.delete(txnId);
    own.bytes -= bytes;
    if (answers.size === 0) all.delete(origin);
  }
}

function noTurns(): Turns {
  return { answers: new Map(), last: Promise.resolve(), bytes: 0 };
}
