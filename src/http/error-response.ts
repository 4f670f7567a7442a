import type { Logger } from "pino";
import { isDatabaseAway } from "#src/homeserver/connection-errors.ts";
import { FileStoreAway } from "#src/homeserver/file-store-away.ts";
import { isStorageFull } from "#src/homeserver/storage-full.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { CORS_HEADERS, JSON_HEADERS } from "./endpoint.ts";

/** PostgreSQL's errors about a value that it cannot hold, which only a request can have brought. */
const UNSTORABLE = new Set([
  "22021", // a character that the encoding lacks: NUL
  "22P05",
  "22003", // a number out of range
  "54000", // too long for an index
]);

/** The one place where an error becomes a response. Anything but a MatrixError is a fault of ours. */
export function errorResponse(error: unknown, log: Logger): Response {
  const told = asMatrixError(error);
  if (told) {
    const retryMs = told.fields["retry_after_ms"];
    return new Response(JSON.stringify(told), {
      status: told.status,
      headers: {
        ...JSON_HEADERS,
        ...(typeof retryMs === "number" && { "retry-after": String(Math.ceil(retryMs / 1000)) }),
        // What was too slow still comes: nobody waits for its end.
        ...(told.status === 408 && { connection: "close" }),
      },
    });
  }
  if (isDatabaseAway(error)) {
    const code = (error as { code?: unknown }).code;
    log.warn({ code }, "the database could not be reached for a request");
    return fault(503, "The server cannot reach its database at the moment");
  }
  if (isStorageFull(error)) {
    log.error({ err: error }, "no room is left to store what a request brings");
    // As RFC 4918 has it: nothing is wrong with the request.
    return fault(507, "The server has no room left to store this");
  }
  if (error instanceof FileStoreAway) {
    log.error({ err: error }, "the store of files has failed for a request");
    return fault(503, "The server cannot reach its store of files at the moment");
  }
  log.error({ err: error }, "unexpected error in a route");
  return fault(500, "Internal server error");
}

function fault(status: number, message: string): Response {
  const text = JSON.stringify(new MatrixError("M_UNKNOWN", message));
  return new Response(text, { status, headers: JSON_HEADERS });
}

function asMatrixError(error: unknown): MatrixError | undefined {
  if (error instanceof MatrixError) return error;
  if (error instanceof Error && "code" in error && UNSTORABLE.has(String(error.code))) {
    return new MatrixError("M_INVALID_PARAM", "The request holds a value that cannot be stored", {
      cause: error,
    });
  }
  return undefined;
}

/** The answer to the question that browsers ask before a request. */
export function preflightResponse(): Response {
  return new Response(null, {
    status: 204,
    headers: { ...CORS_HEADERS, "access-control-max-age": "86400" },
  });
}
