import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import type { Patience } from "../find-media.ts";
import type { ThumbnailSpec } from "../thumbnail-size.ts";

/** How long we wait for an upload if the client does not say, and at most. In milliseconds. */
const USUAL_WAIT_MS = 20_000;
const LONGEST_WAIT_MS = 60_000;

/**
 * How long a client is willing to wait, and whether for other servers.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function readPatience(
  query: URLSearchParams,
  { signal, allowance }: Omit<Patience, "timeoutMs">,
): Patience {
  const mayFetch = readBoolean(query, "allow_remote", "true");
  return { timeoutMs: readTimeout(query), signal, ...(mayFetch && { allowance }) };
}

function readTimeout(query: URLSearchParams): number {
  return Math.min(wholeNumber(query, "timeout_ms") ?? USUAL_WAIT_MS, LONGEST_WAIT_MS);
}

/**
 * The thumbnail that a query asks for.
 *
 * @throws MatrixError M_MISSING_PARAM, M_INVALID_PARAM
 * @spec client-server-api#get_matrixclientv1mediathumbnailservernamemediaid
 */
export function readThumbnail(query: URLSearchParams): ThumbnailSpec {
  const method = query.get("method") ?? "scale";
  if (method !== "crop" && method !== "scale") {
    throw new MatrixError("M_INVALID_PARAM", "method: must be crop or scale");
  }
  return {
    width: length(query, "width"),
    height: length(query, "height"),
    method,
    animated: readBoolean(query, "animated", "false"),
  };
}

/** @throws MatrixError M_INVALID_PARAM of a parameter that is neither `true` nor `false`. */
function readBoolean(query: URLSearchParams, name: string, leftOut: "true" | "false"): boolean {
  const text = query.get(name) ?? leftOut;
  if (text === "true" || text === "false") return text === "true";
  throw new MatrixError("M_INVALID_PARAM", `${name}: must be true or false`);
}

function length(query: URLSearchParams, name: string): number {
  const pixels = wholeNumber(query, name);
  if (pixels === undefined) throw new MatrixError("M_MISSING_PARAM", `${name} is missing`);
  if (pixels === 0) throw new MatrixError("M_INVALID_PARAM", `${name}: must be above 0`);
  return pixels;
}
