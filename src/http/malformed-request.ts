import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { JSON_HEADERS } from "./endpoint.ts";

/** The answer to a request that names no address: by a target or a `Host` that no client sends. */
export function malformedResponse(): Response {
  const error = new MatrixError("M_INVALID_PARAM", "The request has no proper target or host");
  return new Response(JSON.stringify(error), { status: error.status, headers: JSON_HEADERS });
}

/** What Node finds wrong before there is a request, and what is said of it. All else is no HTTP. */
const FAULTS = new Map([
  [
    "HPE_HEADER_OVERFLOW",
    { errcode: "M_TOO_LARGE", message: "The headers are too large", status: 431 },
  ],
  [
    "ERR_HTTP_REQUEST_TIMEOUT",
    { errcode: "M_UNKNOWN", message: "The request took too long", status: 408 },
  ],
] as const);
const NO_HTTP = {
  errcode: "M_UNKNOWN",
  message: "This is no request of HTTP",
  status: 400,
} as const;

/**
 * Answers what is no request that Node could give us, and ends the connection. A browser shows the
 * answer to its page only with our headers.
 */
export function refuseMalformed(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const { errcode, message, status } = FAULTS.get(error.code as never) ?? NO_HTTP;
  const body = JSON.stringify(new MatrixError(errcode, message, { status }));
  const headers = { ...JSON_HEADERS, "content-length": body.length, connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}
