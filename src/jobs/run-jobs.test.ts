import { once } from "node:events";
import { afterAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Stream } from "#src/streams/stream.ts";
import { write } from "#src/streams/write.ts";
import { testHomeservers } from "#src/testing.ts";
import type { Job } from "./job.ts";
import { runJobs } from "./run-jobs.ts";

const servers = await testHomeservers(2);
afterAll(async () => await servers.close());

const TIMES = { lookMs: 5, leaseMs: 1_500 };

/** Something of no consequence. */
const nothing: Stream<undefined, undefined> = {
  name: "nothing",
  store: async (_hs, _lane, writes) =>
    writes.map(({ position }) => ({
      ok: true,
      result: undefined,
      changes: [{ position, stream: "nothing" }],
    })),
  changesBetween: async () => [],
};

/** Runs a job in one process or more, until the test says that it is enough. */
async function running(
  jobs: readonly Job[],
  processes: number,
  until: () => Promise<unknown>,
  times = TIMES,
) {
  const stopping = new AbortController();
  const all = servers.all.slice(0, processes).map((hs) => ({ ...hs, stopping: stopping.signal }));
  const ends = all.map(async (hs) => await runJobs(hs, jobs, times));
  try {
    await until();
  } finally {
    stopping.abort();
    await Promise.all(ends);
  }
}

async function rowOf(name: string) {
  const [row] = await servers.hs.sql<{ holder: string | null; failures: number; waitMs: number }[]>`
    select holder, failures,
      due_at_ms - (extract(epoch from clock_timestamp()) * 1000)::bigint as "waitMs"
    from jobs where name = ${name}`;
  return row;
}

describe("a job", () => {
  test("runs again and again, in one process at a time", async () => {
    let now = 0;
    let most = 0;
    const by = new Map<Homeserver, number>();
    const job: Job = {
      name: "again",
      everyMs: 1,
      async run(hs) {
        most = Math.max(most, ++now);
        by.set(hs, (by.get(hs) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 10));
        now--;
        return "done";
      },
    };
    const total = () => [...by.values()].reduce((sum, n) => sum + n, 0);
    await running([job], 2, () => expect.poll(total, { timeout: 10_000 }).toBeGreaterThan(20));
    expect(most).toBe(1);
    expect(await rowOf("again")).toMatchObject({ holder: null, failures: 0 });
  });

  test("goes on as long as it says that there is more, and then waits", async () => {
    let parts = 0;
    const job: Job = {
      name: "parts",
      everyMs: 60_000,
      run: async () => (++parts < 5 ? "more" : "done"),
    };
    const isWaiting = async () => ((await rowOf("parts"))?.waitMs ?? 0) > 50_000;
    await running([job], 1, () => expect.poll(isWaiting).toBe(true));
    expect(parts).toBe(5);
  });

  test("is left to a process that has it, and taken over when its lease ends", async () => {
    const leaseEnds = Date.now() + 400;
    await servers.hs.sql`
      insert into jobs (name, holder, leased_until_ms) values ('dead', 'dead', ${leaseEnds})`;
    let ranAt = 0;
    const job: Job = {
      name: "dead",
      everyMs: 60_000,
      async run() {
        ranAt = Date.now();
        return "done";
      },
    };
    await running([job], 2, () => expect.poll(() => ranAt, { timeout: 10_000 }).toBeGreaterThan(0));
    expect(ranAt).toBeGreaterThanOrEqual(leaseEnds - 5);
  });

  test("is due although the clock has been set back", async () => {
    await servers.hs.sql`
      insert into jobs (name, due_at_ms) values ('early', ${Date.now() + 7_200_000})`;
    let runs = 0;
    const job: Job = {
      name: "early",
      everyMs: 60_000,
      async run() {
        runs++;
        return await Promise.resolve("done");
      },
    };
    await running([job], 1, () => expect.poll(() => runs).toBe(1));
    expect((await rowOf("early"))?.waitMs).toBeLessThanOrEqual(60_000);
  });

  test("is kept by renewing its lease", async () => {
    // As long as nothing here ever stands still for.
    const times = { ...TIMES, leaseMs: 3_000 };
    let runs = 0;
    const job: Job = {
      name: "long",
      everyMs: 60_000,
      async run() {
        runs++;
        await new Promise((resolve) => setTimeout(resolve, 1.5 * times.leaseMs));
        return "done";
      },
    };
    const isOver = async () => ((await rowOf("long"))?.waitMs ?? 0) > 50_000;
    await running([job], 2, () => expect.poll(isOver, { timeout: 15_000 }).toBe(true), times);
    expect(runs).toBe(1);
  });

  test("is told to stop when its lease is lost, and takes nothing from who has it now", async () => {
    let wasStopped = false;
    const job: Job = {
      name: "lost",
      everyMs: 60_000,
      async run(_hs, signal) {
        await servers.hs.sql`
          update jobs set holder = 'other', leased_until_ms = 9e15::bigint where name = 'lost'`;
        await once(signal, "abort");
        wasStopped = true;
        return "more";
      },
    };
    await running([job], 1, () => expect.poll(() => wasStopped, { timeout: 10_000 }).toBe(true));
    expect(await rowOf("lost")).toMatchObject({ holder: "other" });
  });

  test("that fails is tried again later, and keeps no other from running", async () => {
    let ran = 0;
    const failing: Job = {
      name: "fails",
      everyMs: 24 * 60 * 60 * 1000,
      run: async () => await Promise.reject(new Error("no")),
    };
    const other: Job = {
      name: "other",
      everyMs: 1,
      async run() {
        ran++;
        return "done";
      },
    };
    await running([failing, other], 1, () => expect.poll(() => ran).toBeGreaterThan(3));
    const row = await rowOf("fails");
    expect(row).toMatchObject({ holder: null, failures: 1 });
    expect(row?.waitMs).toBeGreaterThan(5_000);
    expect(row?.waitMs).toBeLessThan(11_000);
  });

  test("that the process stops in the middle is due at once for another", async () => {
    let hasBegun = false;
    const job: Job = {
      name: "stopped",
      everyMs: 60_000,
      async run(_hs, signal) {
        hasBegun = true;
        if (!signal.aborted) await once(signal, "abort");
        return "more";
      },
    };
    await running([job], 1, () => expect.poll(() => hasBegun).toBe(true));
    const row = await rowOf("stopped");
    expect(row?.holder).toBeNull();
    expect(row?.waitMs).toBeLessThanOrEqual(0);
  });

  test("that follows the streams rests while they stand still", async () => {
    const runs = { follower: 0, other: 0 };
    const job = (name: keyof typeof runs, follows: Pick<Job, "followsStreams">): Job => ({
      name,
      everyMs: 1,
      ...follows,
      async run() {
        runs[name]++;
        return "done";
      },
    });
    const jobs = [job("follower", { followsStreams: true }), job("other", {})];
    const own = await testHomeservers(1, {}, (hs) => [runJobs(hs, jobs, TIMES)]);
    try {
      await expect.poll(() => runs.other, { timeout: 10_000 }).toBeGreaterThan(5);
      expect(runs.follower).toBe(1);
      await write(own.hs, nothing, undefined);
      await expect.poll(() => runs.follower, { timeout: 10_000 }).toBe(2);
    } finally {
      await own.close();
    }
  });

  test("that something stirs runs at once", async () => {
    let runs = 0;
    const job: Job = {
      name: "stirred",
      everyMs: 1,
      isStirredBy: ({ stream }) => stream === nothing.name,
      async run() {
        runs++;
        return "done";
      },
    };
    const times = { ...TIMES, lookMs: 600_000 };
    const own = await testHomeservers(1, {}, (hs) => [runJobs(hs, [job], times)]);
    try {
      await expect.poll(() => runs, { timeout: 10_000 }).toBe(1);
      await expect
        .poll(async () => await leftFor(own.hs, job.name), { timeout: 10_000 })
        .toBeLessThan(0);
      await write(own.hs, nothing, undefined);
      await expect.poll(() => runs, { timeout: 10_000 }).toBe(2);
    } finally {
      await own.close();
    }
  });
});

/** For how long a job is not to be run yet, in milliseconds. */
async function leftFor(hs: Homeserver, name: string): Promise<number | undefined> {
  const [row] = await hs.sql<{ leftMs: number }[]>`
    select greatest(due_at_ms, leased_until_ms) - (extract(epoch from clock_timestamp()) * 1000)::bigint
      as "leftMs"
    from jobs where name = ${name}`;
  return row?.leftMs;
}
