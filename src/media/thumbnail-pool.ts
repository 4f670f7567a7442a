import { availableParallelism } from "node:os";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { Turns } from "#src/kit/turns.ts";

/** Pictures in work at once: at most half of the cores, and few, since each takes memory. */
const AT_ONCE = Math.min(4, Math.max(1, Math.floor(availableParallelism() / 2)));

/** How many may wait for their turn. More would wait longer than their clients do. */
const MOST_WAITING = 200;

const turnsOf = held(() => new Turns(AT_ONCE, MOST_WAITING));

/**
 * Runs something that works on a picture, when it is its turn.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED if too many wait already; and what the work throws.
 */
export async function inThumbnailPool<T>(hs: Homeserver, work: () => Promise<T>): Promise<T> {
  const turn = await turnsOf(hs).take(work);
  if (turn) return turn.done;
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many thumbnails are being made", {
    fields: { retry_after_ms: 1000 },
  });
}
