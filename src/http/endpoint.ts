import type { IncomingMessage } from "node:http";
import type { Context } from "hono";
import type { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { Requester } from "#src/kit/requester.ts";

export type Method = "GET" | "PUT" | "POST" | "DELETE";

/** The classes of routes that have a limit of their own on how often they may be called. */
export type RateClass =
  | "none"
  | "default"
  | "login"
  | "register"
  | "message"
  | "join"
  | "invite"
  | "thirdPartyInvite"
  | "media"
  | "keys"
  | "search"
  | "report"
  | "delayed"
  | "push"
  | "serverInvite"
  | "serverKnock"
  | "invited";

/** One request, read and checked. */
export type Call<Body, Who> = {
  readonly requester: Who;
  /** The path's parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Body;
  /** The address that the request comes from. */
  readonly ip: string;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
  /** The request itself, for the few that stream or read headers. */
  readonly request: Context["req"];
  /** The same as Node has it, for bodies that are streamed: with half the work of a web stream. */
  readonly incoming: IncomingMessage;
};

/** What a handler answers: an object to be sent as JSON with status 200, or a whole response. */
export type Answer = object | Response;

type Common<Body> = {
  /** The specification's name of the operation. */
  readonly operation: OperationId;
  readonly method: Method;
  /** The path or paths, with `:name` for a parameter. Those under `/_matrix/client/v3/` serve `r0` too. */
  readonly path: string | readonly string[];
  /** What the JSON body must be. Without it the body is not read. */
  readonly body?: z.ZodType<Body>;
  /** How often it may be called; `default` if left out, but no limit for servers, each of which counts by its name. */
  readonly rate?: RateClass;
};

/** A route that answers only those who show a valid access token. */
export type UserEndpoint<Body> = Common<Body> & {
  readonly auth: "user";
  /** Whether guests may call it. */
  readonly guests?: boolean;
  readonly handle: (hs: Homeserver, call: Call<Body, Requester>) => Promise<Answer> | Answer;
};

/**
 * A route that answers anybody, and may heed a token that is shown: `optional` any, `appservice` none but that of an
 * application service.
 */
export type OpenEndpoint<Body> = Common<Body> & {
  readonly auth: "none" | "optional" | "appservice";
  readonly handle: (
    hs: Homeserver,
    call: Call<Body, Requester | undefined>,
  ) => Promise<Answer> | Answer;
};

/**
 * A route that answers only other servers, by whose signature the request comes. Its body is read with
 * the numbers that old room versions have (see `wire-json.ts`).
 *
 * @spec server-server-api#request-authentication
 */
export type ServerEndpoint<Body> = Common<Body> & {
  readonly auth: "server";
  readonly handle: (hs: Homeserver, call: Call<Body, ServerName>) => Promise<Answer> | Answer;
};

export type Endpoint = UserEndpoint<unknown> | OpenEndpoint<unknown> | ServerEndpoint<unknown>;

/** Declares a route for those who are logged in. */
export function userEndpoint<Body = undefined>(it: Omit<UserEndpoint<Body>, "auth">): Endpoint {
  return { ...it, auth: "user" } as Endpoint;
}

/** Declares a route for other servers. The requester is the server that has signed the request. */
export function serverEndpoint<Body = undefined>(it: Omit<ServerEndpoint<Body>, "auth">): Endpoint {
  return { ...it, auth: "server" } as Endpoint;
}

/** Declares a route for anybody. A token is looked at only if `auth` is not `none`. */
export function openEndpoint<Body = undefined>(it: OpenEndpoint<Body>): Endpoint {
  return it as Endpoint;
}

/** JSON text that is sent as it is, since it was made already. */
export function jsonText(text: string, status = 200): Response {
  return new Response(text, { status, headers: JSON_HEADERS });
}

/** JSON text that is made as the client takes it. */
export function jsonPieces(pieces: AsyncIterable<string>): Response {
  return new Response(ReadableStream.from(encoded(pieces)), { headers: JSON_HEADERS });
}

async function* encoded(pieces: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield Buffer.from(piece);
}

/** The headers of every answer to a client: any web page may be a client. */
export const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH",
  "access-control-allow-headers":
    "X-Requested-With, Content-Type, Authorization, Date, If-Match, If-None-Match",
  "access-control-expose-headers": "Content-Disposition, ETag, Retry-After",
} as const;

export const JSON_HEADERS = { "content-type": "application/json", ...CORS_HEADERS } as const;
