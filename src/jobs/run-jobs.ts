import { randomUUID } from "node:crypto";
import { Counter, Histogram } from "prom-client";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { Position } from "#src/homeserver/position.ts";
import { newBell } from "#src/kit/bell.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { Job } from "./job.ts";
import { insertJobs, leaseDueJobs, renewLease } from "./queries-jobs.ts";
import { Returns } from "./returns.ts";

/** How often to look for jobs that are due, and how long one is ours without our saying so again. */
export type JobTimes = { readonly lookMs: number; readonly leaseMs: number };

const USUAL_TIMES: JobTimes = { lookMs: 5_000, leaseMs: 60_000 };

/** The wait after a first failure, and the longest after many. In milliseconds. */
const FIRST_RETRY_MS = 10_000;
const LAST_RETRY_MS = 60 * 60 * 1000;

const runs = new Counter({
  name: "archipel_job_runs_total",
  help: "Runs of jobs in this process, by how they ended: done, stopped or failed.",
  labelNames: ["job", "outcome"] as const,
  registers: [registry],
});
const seconds = new Histogram({
  name: "archipel_job_seconds",
  help: "How long runs of jobs took.",
  labelNames: ["job"] as const,
  buckets: [0.01, 0.1, 1, 10, 60, 600],
  registers: [registry],
});

/**
 * Runs the jobs that come due, until the homeserver stops. Of all processes on a database one at a
 * time runs each job: it leases it and renews the lease as long as it runs. The lease of a process
 * that died, or stands still, ends by itself; one that finds that it has lost a lease stops the job.
 *
 * @returns what resolves when the homeserver is stopping and no job runs here any more.
 */
export async function runJobs(
  hs: Homeserver,
  jobs: readonly Job[],
  times: JobTimes = USUAL_TIMES,
): Promise<void> {
  const holder = randomUUID();
  const byName = new Map(jobs.map((job) => [job.name, job]));
  const running = new Set<Promise<void>>();
  const returns = new Returns(hs, holder);
  const caughtUp = new Map<string, Position>();
  const rests = ({ name, followsStreams }: Job) =>
    followsStreams === true && caughtUp.get(name) === tailOf(hs).position;
  async function turn(job: Job | undefined, failures: number): Promise<void> {
    if (!job) return;
    const begunAt = tailOf(hs).position;
    const { isDone, ...next } = await runOne(hs, job, { holder, failures, ...times });
    if (isDone) caughtUp.set(job.name, begunAt);
    await returns.add({ name: job.name, ...next });
  }
  const bell = newBell();
  const stirs = jobs.flatMap(({ isStirredBy }) => isStirredBy ?? []);
  tailOf(hs).listen({
    changed(changes) {
      if (changes.some((change) => stirs.some((isStirredBy) => isStirredBy(change)))) bell.ring();
    },
    missed: bell.ring,
  });
  hs.stopping.addEventListener("abort", bell.ring, { once: true });
  let known = false;
  while (!hs.stopping.aborted) {
    try {
      if (!known) await insertJobs(hs.sql, [...byName.keys()]);
      known = true;
      const asked = jobs.filter((job) => !rests(job));
      const due = await leaseDueJobs(hs.sql, asked, { holder, ...times });
      for (const { name, failures } of due) {
        const run = turn(byName.get(name), failures);
        running.add(run);
        void run.finally(() => running.delete(run));
      }
    } catch (error) {
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see which jobs are due");
    }
    const awake = jobs.filter((job) => job.followsStreams && !rests(job));
    await bell.rung(Math.min(times.lookMs, ...awake.map(({ everyMs }) => everyMs)));
  }
  await Promise.all(running);
}

type Lease = { readonly holder: string; readonly failures: number; readonly leaseMs: number };

/** How a run has ended, and when the next is to be. */
type Outcome = {
  readonly isDone: boolean;
  readonly waitMs: number;
  readonly failures: number;
};

/** Runs a job that is leased. Never throws. */
async function runOne(hs: Homeserver, job: Job, lease: Lease): Promise<Outcome> {
  const lost = new AbortController();
  const renewal = setInterval(() => void renew(hs, job, { lease, lost }), lease.leaseMs / 3);
  const begun = performance.now();
  try {
    const signal = AbortSignal.any([hs.stopping, lost.signal]);
    const end = await runAll(hs, job, signal);
    runs.inc({ job: job.name, outcome: end });
    const isDone = end === "done";
    return { isDone, waitMs: isDone ? job.everyMs : 0, failures: 0 };
  } catch (error) {
    const failures = lease.failures + 1;
    const waitMs = retryWaitMs(job, failures);
    runs.inc({ job: job.name, outcome: "failed" });
    hs.log.error({ err: error, job: job.name, failures, waitMs }, "a job failed");
    return { isDone: false, waitMs, failures };
  } finally {
    clearInterval(renewal);
    seconds.observe({ job: job.name }, (performance.now() - begun) / 1000);
  }
}

async function runAll(hs: Homeserver, job: Job, signal: AbortSignal): Promise<"done" | "stopped"> {
  while (!signal.aborted) {
    if ((await job.run(hs, signal)) === "done") return "done";
  }
  return "stopped";
}

async function renew(
  hs: Homeserver,
  job: Job,
  { lease, lost }: { lease: Lease; lost: AbortController },
): Promise<void> {
  try {
    if (await renewLease(hs.sql, job.name, lease)) return;
    hs.log.warn({ job: job.name }, "another process has taken over a job");
    lost.abort();
  } catch (error) {
    // It is tried twice more before the lease ends.
    if (!hs.stopping.aborted) hs.log.warn({ err: error, job: job.name }, "cannot renew a lease");
  }
}

function retryWaitMs(job: Job, failures: number): number {
  return Math.min(job.everyMs, LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
}
