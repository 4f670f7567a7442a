import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { Turns } from "#src/kit/turns.ts";

/** How many states are read at once, with all that authorises them: of a large room each takes seconds. */
const MOST_AT_ONCE = 4;

/** How many one server may ask for before it has the answers. */
const MOST_OF_ONE_SERVER = 50;

/** When one that has asked for too much may come again. */
const RETRY_MS = 2_000;

const memoryOf = held(() => ({
  turns: new Turns(MOST_AT_ONCE, Number.POSITIVE_INFINITY),
  asked: new Map<ServerName, number>(),
}));

/**
 * Reads a state for another server when its turn comes.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED if too many of the server's wait already.
 */
export async function inStateTurn<T>(
  hs: Homeserver,
  server: ServerName,
  read: () => Promise<T>,
): Promise<T> {
  const { turns, asked } = memoryOf(hs);
  const own = asked.get(server) ?? 0;
  if (own >= MOST_OF_ONE_SERVER) {
    throw new MatrixError("M_LIMIT_EXCEEDED", "Wait for the states that you have asked for", {
      fields: { retry_after_ms: RETRY_MS },
    });
  }
  asked.set(server, own + 1);
  try {
    const turn = await turns.take(read);
    if (!turn) throw new Error("no state has a turn");
    return turn.done;
  } finally {
    const left = (asked.get(server) ?? 1) - 1;
    if (left > 0) asked.set(server, left);
    else asked.delete(server);
  }
}
