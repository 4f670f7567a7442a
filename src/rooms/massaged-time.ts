import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";

/** A part of an event's draft. */
export type MassagedTime = { readonly origin_server_ts?: number };

/**
 * When an event was sent, as an application service says with `ts` that brings in what was said elsewhere earlier.
 * Empty if nobody says so, or nobody who may.
 *
 * @throws MatrixError M_INVALID_PARAM
 * @spec application-service-api#timestamp-massaging
 */
export function massagedTime(call: {
  readonly requester: Requester;
  readonly query: URLSearchParams;
}): MassagedTime {
  // First, since to read the query costs something, and nearly nobody has to.
  if (call.requester.appserviceId === undefined) return {};
  const ts = call.query.get("ts");
  if (ts === null) return {};
  if (!/^\d{1,15}$/.test(ts)) throw new MatrixError("M_INVALID_PARAM", "ts is no time");
  return { origin_server_ts: Number(ts) };
}
