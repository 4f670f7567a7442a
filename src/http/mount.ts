import { randomBytes } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { Histogram } from "prom-client";
import { appserviceOfToken } from "#src/config/registered-appservices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import { requestContext } from "#src/homeserver/request-context.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { Requester } from "#src/kit/requester.ts";
import { processesAlive } from "#src/streams/presence.ts";
import { tailOf } from "#src/streams/tail.ts";
import { type Answer, type Call, type Endpoint, JSON_HEADERS } from "./endpoint.ts";
import { errorResponse, preflightResponse } from "./error-response.ts";
import { forwardedAddress } from "./forwarded-address.ts";
import { allowanceOf, checkRate } from "./rate-limit.ts";
import { readJsonBody, STRANGERS_LIMITS } from "./read-body.ts";
import { requestPath } from "./request-path.ts";
import { type OriginCheck, readServerRequest } from "./server-request.ts";

/**
 * Finds out who an access token speaks for. `src/auth/` has the real one.
 *
 * @throws MatrixError M_UNKNOWN_TOKEN if it is not, or no longer, valid.
 */
export type TokenLookup = (
  hs: Homeserver,
  token: string,
  use: {
    readonly operation: OperationId;
    readonly ip: string;
    readonly userAgent: string | undefined;
    /** The request's query, in which an application service says whom it speaks for. */
    readonly query: () => URLSearchParams;
    /** How many tokens may be shown that are none: each costs a query. */
    readonly tries: Allowance;
  },
) => Promise<Requester> | Requester;

type Env = {
  Bindings: HttpBindings;
  Variables: {
    /** Whether there is such a path, though not with the request's method. */
    isKnown: boolean;
  };
};

/** All routes, as what answers a request. */
export type App = Hono<Env>;

const durations = new Histogram({
  name: "archipel_http_request_seconds",
  help: "Time from a request's headers to its answer, by the specification's operations.",
  labelNames: ["operation", "status"] as const,
  buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
  registers: [registry],
});

/** What finds out who is asking: users by their tokens, servers by their signatures. */
type Doorkeepers = { readonly lookup: TokenLookup; readonly checkOrigin: OriginCheck };

/** Puts routes on a server of HTTP: who is asking, how often, what is said, and what comes of it. */
export function mount(
  hs: Homeserver,
  endpoints: readonly Endpoint[],
  lookup: TokenLookup,
  checkOrigin: OriginCheck = refuseServers,
): App {
  const doorkeepers = { lookup, checkOrigin };
  const app = new Hono<Env>({ getPath: requestPath });
  // One handler for each path: where a request meets several the framework makes a chain of them each time.
  for (const [path, its] of byPath(endpoints)) {
    app.all(path, (c, next) => {
      // The framework leaves the body out of what is answered to GET.
      const endpoint = its.get(c.req.method === "HEAD" ? "GET" : c.req.method);
      if (endpoint) return answer(hs, endpoint, { c, ...doorkeepers });
      // Another path may fit as well. If none does, what is known with another method is answered as such.
      c.set("isKnown", true);
      return next();
    });
  }
  app.notFound((c) => {
    if (c.req.method === "OPTIONS") return preflightResponse();
    return c.get("isKnown") ? wrongMethod() : unknownPath();
  });
  app.onError((error) => errorResponse(error, hs.log));
  return app;
}

/** The endpoints of each path, by their methods. */
function byPath(endpoints: readonly Endpoint[]): Map<string, Map<string, Endpoint>> {
  const found = new Map<string, Map<string, Endpoint>>();
  for (const it of endpoints) {
    for (const path of pathsOf(it)) {
      const methods = found.get(path) ?? new Map<string, Endpoint>();
      if (!methods.has(it.method)) methods.set(it.method, it);
      found.set(path, methods);
    }
  }
  return found;
}

function pathsOf({ path }: Endpoint): string[] {
  return [path].flat().flatMap((it) => {
    const old = it.replace(/^\/_matrix\/(client|media)\/v3\//, "/_matrix/$1/r0/");
    return old === it ? [it] : [it, old];
  });
}

const processTag = randomBytes(3).toString("hex");
let requestCount = 0;

async function answer(
  hs: Homeserver,
  endpoint: Endpoint,
  { c, ...doorkeepers }: { c: Context<Env> } & Doorkeepers,
): Promise<Response> {
  const begun = performance.now();
  const context = {
    requestId: `${processTag}-${(++requestCount).toString(36)}`,
    operation: endpoint.operation,
  };
  return await requestContext.run(context, async () => {
    let response: Response;
    try {
      response = toResponse(await call(hs, endpoint, { c, ...doorkeepers }));
    } catch (error) {
      response = errorResponse(error, hs.log);
    }
    const labels = { operation: endpoint.operation, status: String(response.status) };
    durations.observe(labels, (performance.now() - begun) / 1000);
    // The framework sends no body then, and lets go of it, which may be a file that is open.
    if (c.req.method === "HEAD") await response.body?.cancel();
    return response;
  });
}

async function call(
  hs: Homeserver,
  endpoint: Endpoint,
  { c, lookup, checkOrigin }: { c: Context<Env> } & Doorkeepers,
): Promise<Answer> {
  const ip = addressOf(hs, c);
  const incoming = c.env?.incoming;
  // What another process has answered holds here as well: whoever asks us next may have seen it.
  if (endpoint.auth !== "none" && processesAlive(hs) > 1) await tailOf(hs).catchUp();
  if (endpoint.auth === "server") {
    const about = { c, incoming, ip, checkOrigin };
    const { origin, body } = await readServerRequest(hs, endpoint, about);
    if (endpoint.rate) checkRate(hs, endpoint.rate, { ip: origin });
    return await endpoint.handle(hs, callOf(c, { requester: origin, body, ip }));
  }
  const requester = await requesterOf(hs, endpoint, { c, lookup, ip });
  if (!requester?.isUnlimited) {
    checkRate(hs, endpoint.rate ?? "default", { userId: requester?.userId, ip });
  }
  const limits = requester ? undefined : STRANGERS_LIMITS;
  const body = endpoint.body && (await readJsonBody(c.req, incoming, endpoint.body, limits));
  const it = callOf(c, { requester: requester as Requester, body, ip });
  return await Promise.resolve(endpoint.handle(hs, it));
}

/** @throws MatrixError M_MISSING_TOKEN, M_GUEST_ACCESS_FORBIDDEN, or what `lookup` throws. */
async function requesterOf(
  hs: Homeserver,
  endpoint: Exclude<Endpoint, { auth: "server" }>,
  { c, lookup, ip }: { c: Context<Env>; lookup: TokenLookup; ip: string },
): Promise<Requester | undefined> {
  const token = heededToken(hs, endpoint, c);
  if (endpoint.auth === "user" && token === undefined) {
    // What old bots log of it is all that their operators learn.
    const hint = queryToken(c) ? ": this server takes none from the query" : "";
    throw new MatrixError("M_MISSING_TOKEN", `Missing access token${hint}`);
  }
  const { operation } = endpoint;
  // Where an account is made or entered the application service asks itself, whoever's name its libraries add.
  const query = () =>
    endpoint.auth === "appservice" ? new URLSearchParams() : new URL(c.req.url).searchParams;
  const tries = allowanceOf(hs, "default", { ip });
  const use = { operation, ip, userAgent: headerOf(c, "user-agent"), query, tries };
  const requester = token === undefined ? undefined : await lookup(hs, token, use);
  if (endpoint.auth === "user" && requester?.isGuest && !endpoint.guests) {
    throw new MatrixError("M_GUEST_ACCESS_FORBIDDEN", "Guests may not do this");
  }
  return requester;
}

function heededToken(hs: Homeserver, { auth }: Endpoint, c: Context<Env>): string | undefined {
  if (auth === "none") return undefined;
  const token = bearerToken(c) ?? (hs.config.sessions.tokensInQuery ? queryToken(c) : undefined);
  if (auth !== "appservice" || token === undefined) return token;
  return appserviceOfToken(hs.config, token) && token;
}

function callOf<Who>(
  c: Context<Env>,
  { requester, body, ip }: { requester: Who; body: unknown; ip: string },
): Call<unknown, Who> {
  return {
    requester,
    params: c.req.param(),
    body,
    ip,
    request: c.req,
    incoming: c.env?.incoming,
    // Made when they are asked for: most handlers do not, and neither is for nothing.
    get query() {
      return new URL(c.req.url).searchParams;
    },
    get signal() {
      return c.req.raw.signal;
    },
  };
}

function toResponse(answered: Answer): Response {
  if (answered instanceof Response) return answered;
  return new Response(JSON.stringify(answered), { status: 200, headers: JSON_HEADERS });
}

const refuseServers: OriginCheck = () => {
  throw new MatrixError("M_UNAUTHORIZED", "This server does not federate");
};

/** @spec client-server-api#using-access-tokens */
function bearerToken(c: Context<Env>): string | undefined {
  const header = headerOf(c, "authorization");
  return header === undefined ? undefined : /^Bearer +(\S+)$/i.exec(header)?.[1];
}

/** Allowed up to v1.19 of the specification, and no more in v1.20. @spec client-server-api#using-access-tokens */
function queryToken(c: Context<Env>): string | undefined {
  return new URL(c.req.url).searchParams.get("access_token") || undefined;
}

/** The address that a request comes from: behind a proxy that we were told to trust, the one it names. */
function addressOf(hs: Homeserver, c: Context<Env>): string {
  const own = c.env?.incoming?.socket.remoteAddress ?? "";
  if (!hs.config.listener.trustForwardedFor) return own;
  return forwardedAddress(headerOf(c, "x-forwarded-for")) ?? own;
}

type HeaderName = "authorization" | "user-agent" | "x-forwarded-for";

/** A header as Node has read it: the one of the web's `Request` is made of all headers anew. */
function headerOf(c: Context<Env>, name: HeaderName): string | undefined {
  const incoming = c.env?.incoming;
  if (!incoming) return c.req.header(name);
  const value = incoming.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function unknownPath(): Response {
  const error = new MatrixError("M_UNRECOGNIZED", "No such endpoint");
  return new Response(JSON.stringify(error), { status: 404, headers: JSON_HEADERS });
}

function wrongMethod(): Response {
  const error = new MatrixError("M_UNRECOGNIZED", "This endpoint has no such method", {
    status: 405,
  });
  return new Response(JSON.stringify(error), { status: 405, headers: JSON_HEADERS });
}
