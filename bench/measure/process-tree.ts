import { readFileSync, readdirSync, writeFileSync } from "node:fs";

/** The CPU time of one process, by two clocks of the kernel. */
export type ProcessTime = {
  /** User and system time of all its threads, also those that have ended: in steps of 10 ms. */
  readonly ticksMs: number;
  /** Time of the threads that live, exactly. */
  readonly threadsMs: number;
  /** Of its children that have ended and that it has waited for, with theirs: in steps of 10 ms. */
  readonly endedMs: number;
};

/** What a process and everything below it have used and hold. Linux only. */
export type TreeUsage = {
  readonly times: ReadonlyMap<number, ProcessTime>;
  /** Resident memory: pages that processes share count once for each. */
  readonly rssBytes: number;
};

/** One line of `/proc/PID/stat`. */
type Stat = {
  readonly pid: number;
  readonly parent: number;
  readonly ownMs: number;
  readonly endedMs: number;
};

/** `/proc` counts in hundredths of a second on every Linux that Node runs on. */
const TICK_MS = 10;

/** Pages of `/proc/PID/statm`. */
const PAGE_BYTES = 4096;

/**
 * Sums up a process and its descendants.
 *
 * @throws Error when the process is not there: a server that has died must not look like a cheap one.
 */
export function treeUsage(root: number): TreeUsage {
  const stats = readAllStats();
  if (!stats.has(root)) throw new Error(`Process ${root}, which is measured, has ended.`);
  const times = new Map<number, ProcessTime>();
  let rssBytes = 0;
  for (const { pid, ownMs, endedMs } of descendants(stats, root)) {
    times.set(pid, { ticksMs: ownMs, threadsMs: threadsMs(pid), endedMs });
    rssBytes += residentBytes(pid);
  }
  return { times, rssBytes };
}

/**
 * The CPU time that a tree has used from one look at it to a later one, in milliseconds. It includes processes that began
 * or ended in between.
 */
export function cpuBetween(before: TreeUsage["times"], after: TreeUsage["times"]): number {
  let total = 0;
  for (const [pid, now] of after) {
    const then = before.get(pid) ?? { ticksMs: 0, threadsMs: 0, endedMs: 0 };
    total += ownBetween(then, now) + now.endedMs - then.endedMs;
  }
  for (const [pid, then] of before) {
    // All that it had used is its parent's now, also what was used before.
    if (!after.has(pid)) total -= Math.max(then.ticksMs, then.threadsMs) + then.endedMs;
  }
  return total;
}

/** The exact clock, unless the other has gone so much further that a thread must have ended. */
function ownBetween(then: ProcessTime, now: ProcessTime): number {
  const exactMs = now.threadsMs - then.threadsMs;
  const ticksMs = now.ticksMs - then.ticksMs;
  return ticksMs - exactMs > 2 * TICK_MS ? ticksMs : exactMs;
}

/** What a tree holds in memory, each page that several processes share counted once. */
export function memoryOf(root: number): number {
  let bytes = 0;
  for (const { pid } of descendants(readAllStats(), root)) bytes += proportionalBytes(pid);
  return bytes;
}

/** The most that each process of a tree has had resident, summed up: since `forgetPeak`, or since it began. */
export function peakBytes(root: number): number {
  let bytes = 0;
  for (const { pid } of descendants(readAllStats(), root)) {
    const kilobytes = /^VmHWM:\s*(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
    bytes += Number(kilobytes ?? 0) * 1024;
  }
  return bytes;
}

/** Has the kernel begin anew with what a tree has had at most. */
export function forgetPeak(root: number): void {
  for (const { pid } of descendants(readAllStats(), root)) {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  }
}

/** The process that started this one. */
export function parentOf(pid: number): number {
  const stat = readStat(pid);
  if (stat === undefined) throw new Error(`There is no process ${pid} on this machine.`);
  return stat.parent;
}

function readAllStats(): Map<number, Stat> {
  const stats = new Map<number, Stat>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readStat(Number(entry));
    if (stat !== undefined) stats.set(stat.pid, stat);
  }
  return stats;
}

function readStat(pid: number): Stat | undefined {
  const line = read(`/proc/${pid}/stat`);
  if (line === undefined) return undefined;
  // The second field is a name in brackets, which may hold anything.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const field = (index: number) => Number(fields[index - 3]);
  return {
    pid,
    parent: field(4),
    ownMs: (field(14) + field(15)) * TICK_MS,
    endedMs: (field(16) + field(17)) * TICK_MS,
  };
}

function descendants(stats: ReadonlyMap<number, Stat>, root: number): Stat[] {
  const children = Map.groupBy(stats.values(), (stat) => stat.parent);
  const found: Stat[] = [];
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    const stat = stats.get(pid);
    if (stat !== undefined) found.push(stat);
    waiting.push(...(children.get(pid) ?? []).map((child) => child.pid));
  }
  return found;
}

/** The same time from the scheduler, in nanoseconds, but without threads that have ended. */
function threadsMs(pid: number): number {
  let nanoseconds = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(read(`/proc/${pid}/task/${thread}/schedstat`)?.split(" ")[0] ?? 0);
    }
  } catch {
    return 0; // It ended while we looked; its parent has its time now.
  }
  return nanoseconds / 1e6;
}

function residentBytes(pid: number): number {
  return Number(read(`/proc/${pid}/statm`)?.split(" ")[1] ?? 0) * PAGE_BYTES;
}

function proportionalBytes(pid: number): number {
  const kilobytes = /^Pss:\s*(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? "")?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined;
  }
}
