import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Moment } from "./find-by-timestamp.ts";

/**
 * Reads the moment that a request asks about.
 *
 * @throws MatrixError M_MISSING_PARAM, M_INVALID_PARAM
 */
export function momentIn(query: URLSearchParams): Moment {
  const ts = query.get("ts");
  const direction = query.get("dir");
  if (ts === null) throw new MatrixError("M_MISSING_PARAM", "ts is missing");
  if (direction === null) throw new MatrixError("M_MISSING_PARAM", "dir is missing");
  if (!/^-?\d{1,15}$/.test(ts)) throw new MatrixError("M_INVALID_PARAM", "ts must be a timestamp");
  if (direction !== "f" && direction !== "b") {
    throw new MatrixError("M_INVALID_PARAM", "dir must be f or b");
  }
  return { ts: Number(ts), direction };
}
