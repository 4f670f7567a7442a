import { MatrixError } from "#src/kit/matrix-error.ts";
import type { ThumbnailSpec } from "../thumbnail-size.ts";

/** How long we wait for an upload if the client does not say, and at most. In milliseconds. */
const USUAL_WAIT_MS = 20_000;
const LONGEST_WAIT_MS = 60_000;

/**
 * How long a client is willing to wait for an upload, in milliseconds.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function readTimeout(query: URLSearchParams): number {
  const text = query.get("timeout_ms");
  if (text === null) return USUAL_WAIT_MS;
  return Math.min(integer("timeout_ms", text), LONGEST_WAIT_MS);
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
    animated: readBoolean(query, "animated"),
  };
}

/**
 * A parameter that is `true` or `false`; false if it is left out.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
function readBoolean(query: URLSearchParams, name: string): boolean {
  const text = query.get(name) ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw new MatrixError("M_INVALID_PARAM", `${name}: must be true or false`);
}

function length(query: URLSearchParams, name: string): number {
  const text = query.get(name);
  if (text === null) throw new MatrixError("M_MISSING_PARAM", `${name} is missing`);
  const pixels = integer(name, text);
  if (pixels === 0) throw new MatrixError("M_INVALID_PARAM", `${name}: must be above 0`);
  return pixels;
}

function integer(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new MatrixError("M_INVALID_PARAM", `${name}: must be a whole number`);
  }
  return Number(text);
}
