import { setTimeout as sleep } from "node:timers/promises";
import type { Body } from "../answers.ts";

/** A request to the client-server API. The path begins after `/_matrix/client`. */
export type Request = {
  readonly method: "GET" | "PUT" | "POST";
  readonly path: string;
  readonly token?: string;
  readonly body?: unknown;
  /** How long an answer may take, if longer than that of a server that works as it should. */
  readonly patienceMs?: number;
};

/** An answer; or, with status 0, that there is nobody to ask: then nothing was carried out. */
export type Reply<Said = Body> =
  | { readonly status: number; readonly body: Said }
  | { readonly status: 0; readonly body: undefined };

/** Longer than any recovery may take: what is not answered by then has stopped dead. */
const PATIENCE_MS = 30_000;

/**
 * Asks a server that may be killed meanwhile.
 *
 * @returns undefined if the connection was lost: the request may have been carried out or not.
 * @throws Error if there is neither an answer nor an end of the connection for a long time.
 */
export async function ask<Said = Body>(
  url: string,
  { method, path, token, body, patienceMs = PATIENCE_MS }: Request,
): Promise<Reply<Said> | undefined> {
  try {
    const response = await fetch(`${url}/_matrix/client${path}`, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(patienceMs),
    });
    return { status: response.status, body: (await response.json()) as Said };
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError") {
      throw new Error(`${url} gave no answer within ${patienceMs} ms: ${method} ${path}`, {
        cause: error,
      });
    }
    return isRefused(error) ? { status: 0, body: undefined } : undefined;
  }
}

function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED";
}

/** An answer other than the one that was to be expected. */
export class RefusedError extends Error {
  readonly url: string;
  readonly status: number;

  constructor(url: string, status: number, message: string) {
    super(`${url}: ${message}`);
    this.url = url;
    this.status = status;
  }
}

/** Asks a server from which an answer may be expected. @throws RefusedError unless it is 200; its status is 0 without an answer */
export async function demand<Said = Body>(url: string, request: Request): Promise<Said> {
  const reply = await ask<Said>(url, request);
  if (reply?.status === 200) return reply.body;
  const came = reply === undefined ? "no answer" : `${reply.status} ${JSON.stringify(reply.body)}`;
  throw new RefusedError(url, reply?.status ?? 0, `${request.method} ${request.path}: ${came}`);
}

/** Asks again and again until the answer is 200. @throws Error if it is not within the time */
export async function demandWithin(ms: number, url: string, request: Request): Promise<void> {
  const deadline = performance.now() + ms;
  for (;;) {
    const reply = await ask(url, request);
    if (reply?.status === 200) return;
    if (performance.now() > deadline) {
      throw new Error(`${url} did not answer within ${ms} ms: ${JSON.stringify(reply)}`);
    }
    await sleep(20);
  }
}

/** Does something with each, so many at a time. */
export async function forEach<T>(
  all: readonly T[],
  atOnce: number,
  work: (it: T) => Promise<void>,
): Promise<void> {
  const waiting = all.values();
  const lane = async () => {
    for (const it of waiting) await work(it);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
