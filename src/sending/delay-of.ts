import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * How long an event is to wait, by the request's query, in milliseconds; undefined if it is to be sent now.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function delayOf(query: URLSearchParams): number | undefined {
  const text = query.get("org.matrix.msc4140.delay");
  if (text === null) return undefined;
  if (!/^[0-9]{1,15}$/.test(text) || Number(text) === 0) {
    throw new MatrixError("M_INVALID_PARAM", "A delay is a positive number of milliseconds");
  }
  return Number(text);
}
