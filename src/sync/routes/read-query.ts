import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import type { PresenceState } from "#src/presence/presence.ts";

/** The longest that a request may wait, whatever it asks for. */
const MOST_WAIT_MS = 300_000;

/** As what a client that syncs wants to be seen. @throws MatrixError M_INVALID_PARAM */
export function presenceOf(value: string | null | undefined): PresenceState {
  const state = value ?? "online";
  if (state === "online" || state === "unavailable" || state === "offline") return state;
  throw new MatrixError("M_INVALID_PARAM", "set_presence must be online, unavailable or offline");
}

/** For how long a client wants to wait, in milliseconds. @throws MatrixError M_INVALID_PARAM */
export function waitOf(query: URLSearchParams): number {
  return query.get("timeout") ? mostWait(wholeNumber(query, "timeout") ?? 0) : 0;
}

/** For how long a request may wait. */
export function mostWait(timeoutMs: number): number {
  return Math.min(timeoutMs, MOST_WAIT_MS);
}

/**
 * How many events a client wants.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function limitOf(
  query: URLSearchParams,
  { standard, most }: { readonly standard: number; readonly most: number },
): number {
  return Math.min(wholeNumber(query, "limit") ?? standard, most);
}
