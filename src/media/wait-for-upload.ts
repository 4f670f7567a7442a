import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { stillPending } from "./queries-media.ts";

/** How often the database is asked whether another process has received what is waited for. */
const POLL_MS = 250;

/** Those who wait for each media, by its key. */
type Waiting = { readonly wakers: Map<number, Set<() => void>>; polling: boolean };

const waitingOf = held((): Waiting => ({ wakers: new Map(), polling: false }));

/**
 * Waits until a media has been uploaded, in whatever process, or has been deleted, or the time is up.
 * However many wait in a process, for whatever media, they ask the database one question together.
 */
export async function waitForUpload(
  hs: Homeserver,
  mediaKey: number,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const ends = AbortSignal.any([AbortSignal.timeout(timeoutMs), signal, hs.stopping]);
  if (ends.aborted) return;
  const waiting = waitingOf(hs);
  const { promise, resolve } = Promise.withResolvers<void>();
  const wakers = waiting.wakers.get(mediaKey) ?? new Set();
  waiting.wakers.set(mediaKey, wakers.add(resolve));
  ends.addEventListener("abort", () => resolve(), { once: true });
  if (!waiting.polling) void poll(hs, waiting);

  await promise;
  wakers.delete(resolve);
  if (wakers.size === 0 && waiting.wakers.get(mediaKey) === wakers) {
    waiting.wakers.delete(mediaKey);
  }
}

/** Wakes those in this process who wait for a media, at once. */
export function wakeWaiting(hs: Homeserver, mediaKey: number): void {
  const { wakers } = waitingOf(hs);
  for (const wake of wakers.get(mediaKey) ?? []) wake();
  wakers.delete(mediaKey);
}

async function poll(hs: Homeserver, waiting: Waiting): Promise<void> {
  waiting.polling = true;
  while (waiting.wakers.size > 0) {
    await wakeThoseReady(hs, [...waiting.wakers.keys()]);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS).unref());
  }
  waiting.polling = false;
}

async function wakeThoseReady(hs: Homeserver, mediaKeys: readonly number[]): Promise<void> {
  try {
    const pending = await stillPending(hs.sql, mediaKeys);
    for (const key of mediaKeys) if (!pending.has(key)) wakeWaiting(hs, key);
  } catch (error) {
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see what has been uploaded");
  }
}
