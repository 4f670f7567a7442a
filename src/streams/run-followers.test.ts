import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { testHomeservers } from "#src/testing.ts";
import type { Follower } from "./follower.ts";
import { type FollowerTimes, runFollowers } from "./run-followers.ts";
import type { Stream } from "./stream.ts";
import { write } from "./write.ts";

const servers = await testHomeservers(2);
const { hs } = servers;
const TIMES: FollowerTimes = {
  pauseMs: 1,
  standbyMs: 20,
  lookMs: 200,
  firstRetryMs: 10,
  lastRetryMs: 40,
};

/** Something happens, and is a row of `happened`. */
const happenings: Stream<string, number> = {
  name: "happenings",
  async store(_hs, lane, writes) {
    const positions = writes.map((it) => it.position);
    await lane`insert into happened select unnest(${positions}::bigint[])`;
    return positions.map((position) => ({
      ok: true,
      result: position,
      changes: [{ position, stream: "happenings" }],
    }));
  },
  changesBetween: async () => [],
};

/** Writes down in `handled` what has happened, seven at a time. */
function noting(name: string, about: Partial<Follower> = {}): Follower {
  return {
    name,
    begins: "at the beginning",
    async handle(_hs, tx, after, upTo) {
      const rows = await tx<{ position: number }[]>`
        insert into handled (follower, position)
        select ${name}, position from (
          select position from happened where position > ${after} and position <= ${upTo}
          order by position limit 7) next
        returning position`;
      return rows.length < 7 ? upTo : Math.max(...rows.map((it) => it.position));
    },
    ...about,
  };
}

const happen = async (at: Homeserver) => await write(at, happenings, "");

async function handled(name: string): Promise<number[]> {
  const rows = await hs.sql<{ position: number }[]>`
    select position from handled where follower = ${name} order by id`;
  return rows.map((it) => it.position);
}

async function happened(): Promise<number[]> {
  const rows = await hs.sql<
    { position: number }[]
  >`select position from happened order by position`;
  return rows.map((it) => it.position);
}

const running: Promise<void>[] = [];
function run(at: Homeserver, follower: Follower): void {
  running.push(runFollowers(at, [follower], TIMES));
}

beforeAll(async () => {
  await hs.sql`create table happened (position bigint primary key)`;
  await hs.sql`create table handled (id serial, follower text, position bigint)`;
});
beforeEach(async () => {
  await hs.sql`truncate happened`;
});
afterAll(async () => {
  await servers.close();
  // Every one of them ends with its homeserver.
  await Promise.all(running);
});

describe("a follower", () => {
  test("handles everything once and in order, whichever process it happens in", async () => {
    for (const at of servers.all) run(at, noting("once"));
    for (let round = 0; round < 15; round++) {
      await Promise.all(servers.all.flatMap((at) => Array.from({ length: 10 }, () => happen(at))));
    }
    const all = await happened();
    expect(all).toHaveLength(300);
    await expect.poll(() => handled("once"), { timeout: 15_000 }).toEqual(all);
  });

  test("misses nothing and does nothing twice when its process is killed in the middle", async () => {
    for (let count = 0; count < 30; count++) await happen(hs);
    const child = spawn(process.execPath, ["--input-type=module", "-e", DIES_IN_ITS_THIRD_BATCH], {
      env: { ...process.env, URL: servers.database.url },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const [, signal] = await once(child, "exit");
    expect(signal).toBe("SIGKILL");
    expect(await handled("killed")).toHaveLength(14);

    run(hs, noting("killed"));
    await happen(hs);
    const all = await happened();
    await expect.poll(() => handled("killed"), { timeout: 15_000 }).toEqual(all);
  });

  test("that fails is undone and tried again", async () => {
    let attempts = 0;
    const { handle } = noting("fails");
    const failing = noting("fails", {
      async handle(...args) {
        const reached = await handle(...args);
        if (++attempts < 4) throw new Error("the third time is not the last");
        return reached;
      },
    });
    await happen(hs);
    run(hs, failing);
    const all = await happened();
    await expect.poll(() => handled("fails"), { timeout: 15_000 }).toEqual(all);
    expect(attempts).toBe(4);
  });

  test("cannot say that it is further than it is", async () => {
    let attempts = 0;
    const { handle } = noting("boasts");
    const boasting = noting("boasts", {
      async handle(at, tx, after, upTo) {
        attempts++;
        return (await handle(at, tx, after, upTo)) + 1000;
      },
    });
    await happen(hs);
    run(hs, boasting);
    await expect.poll(() => attempts).toBeGreaterThan(1);
    expect(await handled("boasts")).toEqual([]);
  });

  test("that begins now leaves alone what was before", async () => {
    await happen(hs);
    run(hs, noting("late", { begins: "now" }));
    await expect
      .poll(async () => (await hs.sql`select 1 from stream_followers where name = 'late'`).length)
      .toBe(1);
    const position = await happen(hs);
    await expect.poll(() => handled("late")).toEqual([position]);
  });

  test("looks only now and then at streams that are not its own", async () => {
    let looks = 0;
    const { handle } = noting("elsewhere");
    const idle = noting("elsewhere", {
      streams: ["no such stream"],
      async handle(...args) {
        looks++;
        return await handle(...args);
      },
    });
    const begun = performance.now();
    run(hs, idle);
    for (let count = 0; count < 100; count++) await happen(hs);
    const all = await happened();
    await expect.poll(() => handled("elsewhere"), { timeout: 15_000 }).toEqual(all);
    // Seven at a time, and once more for each time that it has looked.
    const rounds = (performance.now() - begun) / TIMES.lookMs;
    expect(looks).toBeLessThan(100 / 7 + rounds + 3);
  });
});

const DIES_IN_ITS_THIRD_BATCH = `
  import pino from "pino";
  import { loadConfig } from "#src/config/load-config.ts";
  import { openHomeserver } from "#src/open-homeserver.ts";
  import { runFollowers } from "#src/streams/run-followers.ts";
  const url = process.env.URL;
  const config = loadConfig({ ARCHIPEL_SERVER_NAME: "test", ARCHIPEL_DATABASE_URL: url }, []);
  const { hs } = await openHomeserver(config, { databaseUrl: url, log: pino({ level: "warn" }) });
  let batches = 0;
  await runFollowers(hs, [{
    name: "killed",
    begins: "at the beginning",
    async handle(_hs, tx, after, upTo) {
      const rows = await tx\`
        insert into handled (follower, position)
        select 'killed', position from (
          select position from happened where position > \${after} and position <= \${upTo}
          order by position limit 7) next
        returning position\`;
      if (++batches === 3) process.kill(process.pid, "SIGKILL");
      return rows.length < 7 ? upTo : Math.max(...rows.map((it) => it.position));
    },
  }]);
`;
