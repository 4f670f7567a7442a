import { LRUCache } from "lru-cache";
import { z } from "zod";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { parseClientJson } from "#src/kit/wire-json.ts";
import { type OutboundAnswer, sendRequest } from "#src/outbound/send-request.ts";
import { parseServerNameParts, type ServerNameParts } from "./parse-server-name.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How long an answer is kept: if it does not say, at most, and at least. */
const DEFAULT_MS = 24 * HOUR_MS;
const LONGEST_MS = 48 * HOUR_MS;
const SHORTEST_MS = 5 * MINUTE_MS;

/** How long a failure is kept: at first, doubled with each that follows, up to the last. */
const FIRST_ERROR_MS = 2 * MINUTE_MS;
const LONGEST_ERROR_MS = HOUR_MS;

const MOST_BYTES = 50 * 1024;
const MOST_REDIRECTS = 5;
const TIMEOUT_MS = 10_000;

const Body = z.object({ "m.server": z.string() });

/** To whom a host delegates, with the port if it gives one. */
export type Delegation = ServerNameParts & { readonly name: string };

type Cached = {
  /** Undefined if it delegates to nobody that we could learn of. */
  readonly delegation: Delegation | undefined;
  readonly untilMs: UnixMs;
  /** Failures in a row, up to now. */
  readonly failures: number;
  /** Until when the delegation may be believed although the host no longer answers. */
  readonly staleUntilMs: UnixMs;
};

type Memory = {
  readonly answers: LRUCache<string, Cached>;
  readonly asking: Map<string, Promise<Delegation | undefined>>;
};

const memoryOf = held((): Memory => ({
  answers: new LRUCache({ max: 20_000 }),
  asking: new Map(),
}));

/**
 * Asks a host which server speaks for it. Answers and failures are kept, so that one of our servers'
 * many questions is asked once.
 *
 * @param host no address.
 * @returns undefined if the host says nothing that is valid.
 * @spec server-server-api#get.wellknownmatrixserver
 */
export async function delegationOf(hs: Homeserver, host: string): Promise<Delegation | undefined> {
  const { answers, asking } = memoryOf(hs);
  const known = answers.get(host);
  if (known && known.untilMs > hs.now()) return known.delegation;
  const underWay = asking.get(host);
  if (underWay) return await underWay;

  const question = ask(hs, host, known)
    .then((fresh) => {
      answers.set(host, fresh);
      return fresh.delegation;
    })
    .finally(() => asking.delete(host));
  asking.set(host, question);
  return await question;
}

async function ask(hs: Homeserver, host: string, known: Cached | undefined): Promise<Cached> {
  const answer = await sendRequest(hs, {
    purpose: "getWellKnown",
    destination: {
      protocol: "https:",
      host,
      port: 443,
      certificateName: host,
      hostHeader: host,
    },
    method: "GET",
    path: "/.well-known/matrix/server",
    timeoutMs: TIMEOUT_MS,
    mostBytes: MOST_BYTES,
    mostRedirects: MOST_REDIRECTS,
  }).catch(() => undefined);

  const now = hs.now();
  const delegation = answer?.status === 200 ? parse(answer.body) : undefined;
  if (answer && delegation) {
    const untilMs = now + lifetimeMs(answer);
    return { delegation, untilMs, failures: 0, staleUntilMs: now + LONGEST_MS };
  }
  const failures = (known?.failures ?? 0) + 1;
  const waitMs = Math.min(FIRST_ERROR_MS * 2 ** Math.min(failures - 1, 10), LONGEST_ERROR_MS);
  const staleUntilMs = known?.staleUntilMs ?? 0;
  return {
    // A host that is down for an hour has not taken back what it said.
    delegation: staleUntilMs > now ? known?.delegation : undefined,
    untilMs: now + waitMs,
    failures,
    staleUntilMs,
  };
}

function parse(body: Buffer): Delegation | undefined {
  try {
    const name = Body.parse(parseClientJson(body.toString()))["m.server"];
    const parts = parseServerNameParts(name);
    return parts && { ...parts, name };
  } catch {
    // Whatever is wrong with it, it delegates to nobody, and discovery goes on.
    return undefined;
  }
}

/** How long an answer may be kept, from its headers (RFC 9111), within our bounds. */
export function lifetimeMs({ headers }: Pick<OutboundAnswer, "headers">): number {
  const directives = (headers.get("cache-control") ?? "").toLowerCase();
  if (/\bno-(?:store|cache)\b/.test(directives)) return SHORTEST_MS;
  const maxAge = /(?:^|[\s,])max-age\s*=\s*"?(\d+)/.exec(directives)?.[1];
  if (maxAge !== undefined) return within((Number(maxAge) - ageOf(headers)) * 1000);
  if (!headers.has("expires")) return DEFAULT_MS;
  // A date that is none has passed.
  return within(dateOf(headers, "expires") - dateOf(headers, "date") || 0);
}

/** How long a cache on the way has had it, in seconds. */
function ageOf(headers: ReadonlyMap<string, string>): number {
  return Number(/^\d{1,9}$/.exec(headers.get("age") ?? "")?.[0] ?? 0);
}

function dateOf(headers: ReadonlyMap<string, string>, name: string): number {
  return Date.parse(headers.get(name) ?? "");
}

function within(lifetime: number): number {
  return Math.min(Math.max(lifetime, SHORTEST_MS), LONGEST_MS);
}
