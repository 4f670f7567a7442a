import { MOST_STICKY_MS } from "#src/events/sticky.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * For how long an event is to be sticky, by the request's query, in milliseconds; undefined if it is not to be (MSC4354).
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function stickyOf(query: URLSearchParams): number | undefined {
  const text = query.get("org.matrix.msc4354.sticky_duration_ms");
  if (text === null) return undefined;
  if (!/^[0-9]{1,7}$/.test(text) || Number(text) > MOST_STICKY_MS) {
    throw new MatrixError(
      "M_INVALID_PARAM",
      `An event is sticky for at most ${MOST_STICKY_MS} milliseconds`,
    );
  }
  return Number(text);
}
