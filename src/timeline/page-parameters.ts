import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import { type Place, placeOf } from "./token.ts";

/**
 * The place that a parameter names by a token. Some clients send an empty one with the first page: that is none.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function placeIn(query: URLSearchParams, name: string): Place | undefined {
  const token = query.get(name);
  return token ? placeOf(token) : undefined;
}

/** Of an event that one may not see it is not said that it is there. */
export function asNotFound(error: unknown): never {
  if (!(error instanceof MatrixError) || error.errcode !== "M_FORBIDDEN") throw error;
  throw new MatrixError("M_NOT_FOUND", "No such event, or not for you", { cause: error });
}

/**
 * How large a page is to be, of a route that knows no page without anything.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function limitIn(
  query: URLSearchParams,
  { standard, most }: { readonly standard: number; readonly most: number },
): number {
  const asked = wholeNumber(query, "limit") ?? standard;
  if (asked === 0) throw new MatrixError("M_INVALID_PARAM", "limit must be greater than 0");
  return Math.min(asked, most);
}
