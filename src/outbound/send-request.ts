import type { Readable } from "node:stream";
import { Histogram } from "prom-client";
import type { Dispatcher } from "undici";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import { collectBody } from "./collect-body.ts";
import { connectionsTo } from "./connections.ts";
import { type Destination, destinationOfUrl, originOf } from "./destination.ts";
import { OutboundError, outboundErrorOf } from "./outbound-failure.ts";

/** A request to whatever is not ours. */
export type OutboundRequest = {
  /** What it is for, as metrics have it: an operation of the specification, mostly. */
  readonly purpose: string;
  readonly destination: Destination;
  readonly method: "GET" | "PUT" | "POST";
  /** The path with the query, as it goes on the request line. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How long the whole may take. */
  readonly timeoutMs: number;
  /** How long until its headers are there; as long as the whole if left out. */
  readonly headersMs?: number;
  /** The most bytes of the answer. */
  readonly mostBytes: number;
  /** How many redirects are followed, each a request with all the same limits; none if left out. */
  readonly mostRedirects?: number;
  /** Whether a redirect may lead there; anywhere if left out. */
  readonly mayLeadTo?: (url: URL) => boolean;
  readonly signal?: AbortSignal;
};

/** An answer whose body comes yet. Whoever has it reads the body to its end or destroys it. */
export type OutboundStream = {
  readonly status: number;
  /** By their names in lower case; of several with one name the first. */
  readonly headers: ReadonlyMap<string, string>;
  /** Where it comes from, after all redirects. */
  readonly url: string;
  readonly body: Readable;
};

/** An answer that has come whole. */
export type OutboundAnswer = Omit<OutboundStream, "body"> & { readonly body: Buffer };

const durations = new Histogram({
  name: "archipel_outbound_request_seconds",
  help: "Time until other servers have answered, by what they were asked and what came of it.",
  labelNames: ["purpose", "outcome"] as const,
  buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15, 60, 300],
  registers: [registry],
});

/** How long an answer may pause between two pieces. */
const PAUSE_MS = 20_000;

/**
 * Sends a request and waits for the whole answer: the one way out of the house. What must hold of
 * everything that we send is held here: no address that is not open to us, nobody but whom we expect
 * at the other end, no answer larger, slower or elsewhere than was asked for.
 *
 * @throws OutboundError saying why there is no answer; one of any status is an answer.
 */
export async function sendRequest(
  hs: Homeserver,
  request: OutboundRequest,
): Promise<OutboundAnswer> {
  return await timed(hs, request, async () => {
    const { body, ...answer } = await openRequest(hs, request);
    return { ...answer, body: await collectBody(hs, body, request.mostBytes) };
  });
}

/**
 * The same for an answer that is used as it comes. The body ends with an error when it takes too long;
 * counting its bytes is left to whoever reads it.
 *
 * @throws OutboundError
 */
export async function streamRequest(
  hs: Homeserver,
  request: OutboundRequest,
): Promise<OutboundStream> {
  return await timed(hs, request, async () => await openRequest(hs, request));
}

async function timed<T extends { readonly status: number }>(
  hs: Homeserver,
  { purpose, destination }: OutboundRequest,
  send: () => Promise<T>,
): Promise<T> {
  const begun = performance.now();
  let outcome = "broken";
  try {
    const answer = await send();
    outcome = `${Math.floor(answer.status / 100)}xx`;
    return answer;
  } catch (cause) {
    const error = outboundErrorOf(cause);
    outcome = error.fault;
    const said = { purpose, host: destination.hostHeader, fault: error.fault, err: error };
    hs.log.debug(said, "a request has had no answer");
    throw error;
  } finally {
    durations.observe({ purpose, outcome }, (performance.now() - begun) / 1000);
  }
}

async function openRequest(hs: Homeserver, request: OutboundRequest): Promise<OutboundStream> {
  const signal = AbortSignal.any([
    hs.stopping,
    AbortSignal.timeout(request.timeoutMs),
    ...(request.signal ? [request.signal] : []),
  ]);
  let { destination, path } = request;
  for (let redirects = 0; ; redirects++) {
    const answer = await attempt(hs, { ...request, destination, path, signal });
    const location = answer.headers.get("location");
    const isRedirect = [301, 302, 303, 307, 308].includes(answer.status) && location !== undefined;
    if (!isRedirect || request.mostRedirects === undefined) {
      return { ...answer, url: urlOf(destination, path) };
    }
    discard(answer.body);
    if (redirects >= request.mostRedirects) throw new OutboundError("redirect", "too many hops");
    ({ destination, path } = redirected(destination, path, location));
    if (request.mayLeadTo?.(new URL(urlOf(destination, path))) === false) {
      throw new OutboundError("redirect", "a redirect to where it must not lead");
    }
  }
}

/** @throws OutboundError unless the way leads on by HTTPS, or as it was by HTTP. */
function redirected(from: Destination, path: string, location: string) {
  const base = urlOf(from, path);
  const next = URL.canParse(location, base) && destinationOfUrl(new URL(location, base));
  if (!next || (from.protocol === "https:" && next.destination.protocol !== "https:")) {
    throw new OutboundError("redirect", "a redirect to what is no HTTPS URL");
  }
  return next;
}

function urlOf({ protocol, hostHeader }: Destination, path: string): string {
  return `${protocol}//${hostHeader}${path}`;
}

async function attempt(
  hs: Homeserver,
  request: OutboundRequest & { readonly signal: AbortSignal },
): Promise<Omit<OutboundStream, "url">> {
  const { destination, method, timeoutMs, signal } = request;
  const connections = connectionsTo(hs, destination);
  connections.requireRoom();
  const ask = async () =>
    await connections.dispatcher.request({
      origin: originOf(destination),
      path: request.path,
      method,
      headers: { ...request.headers, host: destination.hostHeader },
      ...(request.body !== undefined && { body: request.body }),
      headersTimeout: request.headersMs ?? timeoutMs,
      bodyTimeout: PAUSE_MS,
      signal,
    });
  try {
    return streamOf(await ask());
  } catch (error) {
    // The other side may close a kept connection in the moment in which we take it. What can be said
    // twice is said again, on another.
    if (method === "POST" || signal.aborted || !isClosedConnection(error)) throw error;
    return streamOf(await ask());
  }
}

function isClosedConnection(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
}

function streamOf({
  statusCode,
  headers,
  body,
}: Dispatcher.ResponseData): Omit<OutboundStream, "url"> {
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) found.set(name.toLowerCase(), first);
  }
  return { status: statusCode, headers: found, body };
}

/** Has no more use for a body. What its end says no longer matters. */
export function discard(body: Readable): void {
  body.on("error", () => {});
  body.destroy();
}
