import type { ServerName } from "./identifiers.ts";
import { MatrixError } from "./matrix-error.ts";

const DNS_NAME = /^[A-Za-z0-9.-]{1,255}(?::\d{1,5})?$/;
const IPV6_LITERAL = /^\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?$/;

/** Whether a text is the name of a server. @spec appendices#server-name */
export function isServerName(value: string): value is ServerName {
  return DNS_NAME.test(value) || IPV6_LITERAL.test(value);
}

/**
 * Parses a server name: a host name or an address, and perhaps a port.
 *
 * @throws MatrixError M_INVALID_PARAM
 * @spec appendices#server-name
 */
export function parseServerName(value: string): ServerName {
  if (!isServerName(value)) throw new MatrixError("M_INVALID_PARAM", "Not a valid server name");
  return value;
}
