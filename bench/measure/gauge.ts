import { setTimeout as sleep } from "node:timers/promises";
import { type BenchPostgres, walBytes } from "./postgres-counters.ts";
import { cpuBetween, peakBytes, type TreeUsage, treeUsage } from "./process-tree.ts";

/** What a stretch of work has cost. */
export type Usage = {
  readonly serverCpuMs: number;
  readonly postgresCpuMs: number;
  readonly walBytes: number;
  /** At the end of the stretch. */
  readonly serverRssBytes: number;
  /** By how much more than at its beginning it held at most. */
  readonly serverPeakGrowthBytes: number;
  /** Until everything was quiet again. */
  readonly wholeMs: number;
};

/** Whose costs are counted. The null server has no database. */
export type Gauged = { readonly pid: number; readonly postgres?: BenchPostgres };

/** Counters as they stood at one moment. */
export type Reading = {
  readonly atMs: number;
  readonly server: TreeUsage;
  readonly postgres: TreeUsage | undefined;
  readonly serverPeakBytes: number;
  readonly walBytes: number;
};

/** A window in which both together use less than this is quiet: an idle Synapse uses 2 ms. */
const QUIET_MS = 10;
const WINDOW_MS = 400;
const NOTHING: TreeUsage["times"] = new Map();
const PATIENCE_MS = 60_000;

/** Reads all counters. */
export async function readGauge({ pid, postgres }: Gauged): Promise<Reading> {
  return {
    atMs: performance.now(),
    walBytes: postgres === undefined ? 0 : await walBytes(postgres),
    server: treeUsage(pid),
    serverPeakBytes: peakBytes(pid),
    postgres: postgres && treeUsage(postgres.postmaster),
  };
}

/**
 * Waits until neither server nor database works any more, because much of a request's cost may come after its
 * answer.
 *
 * @returns false when they were still busy after a minute
 */
export async function untilQuiet({ pid, postgres }: Gauged): Promise<boolean> {
  const look = () =>
    [
      treeUsage(pid).times,
      postgres === undefined ? NOTHING : treeUsage(postgres.postmaster).times,
    ] as const;
  const deadline = performance.now() + PATIENCE_MS;
  let before = look();
  let quietWindows = 0;
  while (performance.now() < deadline) {
    await sleep(WINDOW_MS);
    const now = look();
    const busyMs = cpuBetween(before[0], now[0]) + cpuBetween(before[1], now[1]);
    quietWindows = busyMs < QUIET_MS ? quietWindows + 1 : 0;
    if (quietWindows === 2) return true;
    before = now;
  }
  return false;
}

/** What was used from one reading to another. */
export function usageBetween(before: Reading, after: Reading): Usage {
  return {
    serverCpuMs: cpuBetween(before.server.times, after.server.times),
    postgresCpuMs: cpuBetween(before.postgres?.times ?? NOTHING, after.postgres?.times ?? NOTHING),
    walBytes: after.walBytes - before.walBytes,
    serverRssBytes: after.server.rssBytes,
    serverPeakGrowthBytes: after.serverPeakBytes - before.server.rssBytes,
    wholeMs: after.atMs - before.atMs,
  };
}
