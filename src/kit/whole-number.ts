import { MatrixError } from "./matrix-error.ts";

/**
 * The whole number that a parameter names, if it is there. Clients that want all there is, or to wait for ever, name the
 * greatest that their language has: what is beyond ours is the greatest of ours.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d+$/.test(text)) {
    throw new MatrixError("M_INVALID_PARAM", `${name} must be a whole number`);
  }
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
}
