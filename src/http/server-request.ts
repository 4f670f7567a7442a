import type { IncomingMessage } from "node:http";
import type { Context } from "hono";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { bodyShare } from "./body-share.ts";
import type { ServerEndpoint } from "./endpoint.ts";
import { inOriginTurn } from "./origin-turns.ts";
import { checkBody, readBody } from "./read-body.ts";
import { requireModestJson } from "./require-modest-json.ts";

/** What a server has signed of its request, and with what. */
export type SignedRequest = {
  readonly method: string;
  /** The request's target as it stood on the request line. */
  readonly uri: string;
  /** The `Authorization` header. */
  readonly authorization: string | undefined;
  /** The body as text and parsed; absent if there is none. */
  readonly content?: { readonly text: Buffer; readonly json: unknown };
};

/**
 * Finds out which server a request comes from. `federation/keys/` has the real one.
 *
 * @throws MatrixError M_UNAUTHORIZED unless the server has signed the request, for us.
 */
export type OriginCheck = (
  hs: Homeserver,
  request: SignedRequest,
) => Promise<ServerName> | ServerName;

/** The longest body: more than fifty of the largest events with a hundred messages to devices. */
export const MOST_BYTES = 16 * 1024 * 1024;

/**
 * More than fifty events can be made of, however they are nested: a transaction is not refused for an event in it. What
 * is smaller than `LARGE_BYTES` cannot be made of too much.
 */
const MODEST = { mostDepth: 65_536, mostParts: 2_500_000 };
const LARGE_BYTES = 1024 * 1024;

/** How long a body may take to come: other servers have lines that are not slow. */
const LONGEST_MS = 60_000;

/**
 * Reads a request of another server: first all of it, since all of it is signed.
 *
 * @throws MatrixError M_UNAUTHORIZED, M_NOT_JSON, M_BAD_JSON, M_TOO_LARGE, M_LIMIT_EXCEEDED.
 * @spec server-server-api#request-authentication
 */
export async function readServerRequest(
  hs: Homeserver,
  endpoint: ServerEndpoint<unknown>,
  about: {
    readonly c: Context;
    readonly incoming: IncomingMessage | undefined;
    /** The address that it comes from. */
    readonly ip: string;
    readonly checkOrigin: OriginCheck;
  },
): Promise<{ origin: ServerName; body: unknown }> {
  const { c, incoming, ip, checkOrigin } = about;
  const authorization = incoming?.headers.authorization ?? c.req.header("authorization");
  // Before the body is read: who does not even try to be a server costs nothing.
  if (authorization === undefined) {
    throw new MatrixError("M_UNAUTHORIZED", "Missing Authorization header");
  }
  const share = bodyShare(hs, ip);
  try {
    const limits = { mostBytes: MOST_BYTES, longestMs: LONGEST_MS, share };
    const text = await readBody(c.req, incoming, limits);
    const content = text.length === 0 ? undefined : { text, json: parse(text) };
    const signed = {
      method: c.req.method,
      uri: incoming?.url ?? pathOf(c.req.url),
      authorization,
      ...(content && { content }),
    };
    const origin = await inOriginTurn(hs, ip, async () => await checkOrigin(hs, signed));
    return { origin, body: endpoint.body && checkBody(content?.json ?? {}, endpoint.body) };
  } finally {
    share.giveBack();
  }
}

function parse(text: Buffer): unknown {
  const json = text.toString();
  if (text.length > LARGE_BYTES) requireModestJson(json, MODEST);
  try {
    return parseWireJson(json);
  } catch (cause) {
    throw new MatrixError("M_NOT_JSON", "The body is not JSON", { cause });
  }
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
