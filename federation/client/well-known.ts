import { z } from "zod";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
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

/** Asks hosts to whom they delegate. */
export type Delegations = {
  /**
   * @param host no address.
   * @returns undefined if the host says nothing that is valid.
   */
  delegationOf(host: string): Promise<Delegation | undefined>;
};

/** What a host answers when it is asked for the file. */
type FileAnswer = Pick<OutboundAnswer, "status" | "headers" | "body">;

/**
 * Who speaks for which host. Answers and failures are kept, so that one of our many questions about a
 * host is asked there once.
 *
 * @spec server-server-api#resolving-server-names
 */
export const delegationsOf = held((hs: Homeserver) =>
  newDelegations((host) => askForFile(hs, host), hs.now),
);

/** @param askHost fails if there is no answer. */
export function newDelegations(
  askHost: (host: string) => Promise<FileAnswer>,
  now: () => UnixMs,
): Delegations {
  const answers = lru<string, Cached>(20_000);
  const underWay = new Map<string, Promise<Delegation | undefined>>();

  const ask = async (host: string) => {
    // Whatever goes wrong, the host says nothing, and discovery goes on.
    const answer = await askHost(host).catch(() => undefined);
    const fresh = nextOf(answers.get(host), answer, now());
    answers.set(host, fresh);
    return fresh.delegation;
  };
  return {
    async delegationOf(host) {
      const known = answers.get(host);
      if (known && known.untilMs > now()) return known.delegation;
      const same = underWay.get(host);
      if (same) return await same;
      const asking = ask(host).finally(() => underWay.delete(host));
      underWay.set(host, asking);
      return await asking;
    },
  };
}

async function askForFile(hs: Homeserver, host: string): Promise<FileAnswer> {
  return await sendRequest(hs, {
    purpose: "getWellKnown",
    destination: { protocol: "https:", host, port: 443, certificateName: host, hostHeader: host },
    method: "GET",
    path: "/.well-known/matrix/server",
    timeoutMs: TIMEOUT_MS,
    mostBytes: MOST_BYTES,
    mostRedirects: MOST_REDIRECTS,
  });
}

function nextOf(known: Cached | undefined, answer: FileAnswer | undefined, now: UnixMs): Cached {
  const delegation = answer?.status === 200 ? parse(answer.body) : undefined;
  if (answer && delegation) {
    const untilMs = now + lifetimeMs(answer.headers);
    return { delegation, untilMs, failures: 0, staleUntilMs: now + LONGEST_MS };
  }
  const failures = (known?.failures ?? 0) + 1;
  const waitMs = Math.min(FIRST_ERROR_MS * 2 ** Math.min(failures - 1, 10), LONGEST_ERROR_MS);
  return { ...lastWordOf(known, answer, now), untilMs: now + waitMs, failures };
}

/** Who answers so says that there is no such file. */
const GONE: ReadonlySet<number> = new Set([404, 410]);

/** What a host has said, as long as that counts: one that is down for an hour has not taken it back, one without the file has. */
function lastWordOf(
  known: Cached | undefined,
  answer: FileAnswer | undefined,
  now: UnixMs,
): Pick<Cached, "delegation" | "staleUntilMs"> {
  const isTakenBack = answer !== undefined && GONE.has(answer.status);
  if (!known || isTakenBack) return { delegation: undefined, staleUntilMs: 0 };
  const { delegation, staleUntilMs } = known;
  return { delegation: staleUntilMs > now ? delegation : undefined, staleUntilMs };
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
export function lifetimeMs(headers: ReadonlyMap<string, string>): number {
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
