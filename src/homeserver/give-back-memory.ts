import { performance } from "node:perf_hooks";
import { collectAll } from "./collect-garbage.ts";

const LOOK_EVERY_MS = 10_000;

/** A process whose loop has used less than this of its time is at rest. */
const REST = 0.02;

/** What is too little to be worth the work of giving it back. */
const LEAST_BYTES = 32 * 1024 * 1024;

/**
 * Gives back to the system what work has left behind: now, and whenever the process has come to rest after it. V8 by itself
 * would keep it until there is more to collect: after the start, when the texts of all files and the schemas in the making
 * are of no more use, that is a quarter of what a process has.
 *
 * It stops the process for some 50 ms, when nobody has asked for anything for seconds, and not again before there is more.
 */
export function giveBackMemoryAtRest(everyMs = LOOK_EVERY_MS): void {
  collectAll();
  let least = residentBytes() ?? Infinity;
  let before = performance.eventLoopUtilization();
  const look = () => {
    const { utilization } = performance.eventLoopUtilization(before);
    before = performance.eventLoopUtilization();
    const rss = residentBytes();
    if (rss === undefined) return;
    least = Math.min(least, rss);
    if (utilization > REST || rss < least + LEAST_BYTES) return;
    collectAll();
    least = residentBytes() ?? least;
    before = performance.eventLoopUtilization();
  };
  setInterval(look, everyMs).unref();
}

/** Undefined if the system does not say: it does so in a file, and there may be too many open. */
function residentBytes(): number | undefined {
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
}
