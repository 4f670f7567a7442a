import { setTimeout as sleep } from "node:timers/promises";

/**
 * Keeps so many tasks in flight until all are done: a closed loop, which finds a ceiling.
 *
 * @param task is told which of the tasks it is and which of the lanes it runs in; a lane does one at a time
 */
export async function closedLoop(
  { count, inFlight }: { readonly count: number; readonly inFlight: number },
  task: (index: number, lane: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const runLane = async (lane: number) => {
    while (next < count) await task(next++, lane);
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, (_, lane) => runLane(lane)));
}

/**
 * The moments at which independent users would act, in milliseconds from the start: a Poisson process.
 *
 * @param random uniform in [0, 1)
 */
export function poissonArrivals(
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
  random: () => number,
): number[] {
  const arrivals: number[] = [];
  for (let at = 0; ;) {
    at -= (Math.log(1 - random()) / perSecond) * 1000;
    if (at >= seconds * 1000) return arrivals;
    arrivals.push(at);
  }
}

/**
 * Starts each task at its moment, whether the ones before are done or not: an open loop. A server that is slow gets
 * no rest for it.
 *
 * @param task is told when it was to start, by `performance.now()`
 * @param end after which none is started any more
 */
export async function openLoop(
  arrivals: readonly number[],
  task: (index: number, intendedMs: number) => Promise<void>,
  end?: AbortSignal,
): Promise<void> {
  const start = performance.now();
  const running: Promise<void>[] = [];
  for (const [index, arrival] of arrivals.entries()) {
    const waitMs = start + arrival - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    if (end?.aborted === true) break;
    running.push(task(index, start + arrival));
  }
  await Promise.all(running);
}

/** A generator of numbers in [0, 1) that gives the same for the same seed, so that each side gets the same load. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
