import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { isConnectionError } from "./connection-errors.ts";
import { connect } from "./database.ts";
import type { Queryable, Sql } from "./sql.ts";

const MOST = 3;

let stored: TestDatabase;
let sql: Sql;

beforeAll(async () => {
  stored = await testDatabase();
});
afterAll(async () => await stored.drop());
beforeEach(() => {
  sql = connect(stored.url, MOST);
});
afterEach(async () => {
  vi.useRealTimers();
  await sql.end();
});

/** By which process of PostgreSQL a statement is answered, which takes so long. */
async function process(on: Queryable, seconds = 0): Promise<number> {
  const [row] = await on<{ pid: number }[]>`
    select pg_backend_pid() as pid, pg_sleep(${seconds})::text`;
  return row?.pid ?? 0;
}

/** By how many processes statements are answered that are asked at once. */
async function processes(count: number, seconds?: number): Promise<number> {
  const asked = Array.from({ length: count }, async () => await process(sql, seconds));
  return new Set(await Promise.all(asked)).size;
}

describe("a pool", () => {
  test("makes no more connections than are needed at once, nor than it may", async () => {
    await process(sql);
    for (let round = 0; round < 20; round++) expect(await processes(1)).toBe(1);
    expect(await processes(2, 0.3)).toBe(2);
    expect(await processes(4 * MOST, 0.1)).toBe(MOST);
    for (let round = 0; round < 20; round++) expect(await processes(1)).toBe(1);
  });

  test("closes what is not needed any more", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const open = async () => {
      const [row] = await stored.sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
        where datname = current_database() and query like '%pg_backend_pid%' and pid <> pg_backend_pid()`;
      return row?.count;
    };
    const first = await process(sql);
    await processes(MOST, 0.2);
    // Those of the test before are gone a moment after they were closed.
    await expect.poll(open).toBe(MOST);
    vi.advanceTimersByTime(30_000);
    expect(await processes(2, 0.1)).toBe(2);
    vi.advanceTimersByTime(30_000);
    await expect.poll(open).toBe(2);
    vi.advanceTimersByTime(60_000);
    await expect.poll(open).toBe(1);
    expect(await process(sql)).toBe(first);
    expect(await processes(MOST, 0.2)).toBe(MOST);
  });

  test("lets a transaction have its connection for itself, and what comes then wait in turn", async () => {
    await processes(MOST, 0.2);
    const order: string[] = [];
    const transactions = Array.from({ length: 2 * MOST }, async (_, index) => {
      const pids = await sql.begin(async (tx) => {
        order.push(`begin ${index}`);
        const before = await process(tx);
        await sleep(50);
        return [before, await process(tx, 0.01)];
      });
      order.push(`end ${index}`);
      return pids;
    });
    const alone = process(sql).then(() => order.push("statement"));
    for (const [before, after] of await Promise.all(transactions)) expect(after).toBe(before);
    await alone;
    const begun = order.filter((it) => !it.startsWith("end"));
    // Which of those that begin at once is answered first is for PostgreSQL to say.
    const [first, then] = [begun.slice(0, MOST), begun.slice(MOST, 2 * MOST)].map((it) =>
      it.toSorted(),
    );
    expect(first).toEqual(["begin 0", "begin 1", "begin 2"]);
    expect(then).toEqual(["begin 3", "begin 4", "begin 5"]);
    expect(begun.slice(2 * MOST)).toEqual(["statement"]);
  });

  test("answers what has failed where it failed, and goes on", async () => {
    const failing = Array.from({ length: 20 }, async (_, index) => {
      if (index % 3 === 0) return await sql`select 1 / ${0}::int`;
      if (index % 3 === 1) return await sql.begin(async (tx) => await tx`select 1 / ${0}::int`);
      return await process(sql);
    });
    const ends = await Promise.allSettled(failing);
    const wrong = ends.filter(
      ({ status }, index) => (status === "fulfilled") !== (index % 3 === 2),
    );
    expect(wrong).toEqual([]);
    expect(await processes(MOST, 0.1)).toBe(MOST);
  });

  test("loses with a connection what was asked on it, and no more", async () => {
    const pid = await process(sql);
    const doomed = process(sql, 60).catch(isConnectionError);
    const [second, third] = [process(sql, 0.5), process(sql, 0.5)];
    const asleep = async () =>
      await stored.sql`select from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`;
    await expect.poll(asleep).toHaveLength(1);
    await stored.sql`select pg_terminate_backend(${pid})`;
    expect(await doomed).toBe(true);
    expect(await second).not.toBe(await third);
    expect(await processes(MOST, 0.1)).toBe(MOST);
  });

  test("refuses what is asked when it has been ended, and what waits then", async () => {
    let begun = 0;
    const { promise: isEnding, resolve: end } = Promise.withResolvers<void>();
    const held = Array.from(
      { length: MOST },
      async () =>
        await sql.begin(async (tx) => {
          await process(tx);
          begun++;
          await isEnding;
          return await process(tx);
        }),
    );
    await expect.poll(() => begun).toBe(MOST);
    const waiting = [process(sql), sql.begin(async (tx) => await process(tx))];
    const ended = sql.end();
    for (const it of [...waiting, process(sql)]) {
      await expect(it).rejects.toMatchObject({ code: "CONNECTION_ENDED" });
    }
    end();
    expect(new Set(await Promise.all(held)).size).toBe(MOST);
    await ended;
  });
});

describe("a pool of which the database lets only two connections be made", () => {
  const role = `few_${randomUUID().slice(0, 8)}`;
  let few: Sql;
  let others: readonly Sql[];
  beforeAll(async () => {
    await stored.sql.unsafe(`create role ${role} login connection limit 2 password '${role}'`);
  });
  afterAll(async () => await stored.sql.unsafe(`drop role ${role}`));
  beforeEach(() => {
    const url = Object.assign(new URL(stored.url), { username: role, password: role }).href;
    few = connect(url, MOST);
    others = [connect(url, 1), connect(url, 1)];
  });
  afterEach(async () => await Promise.all([few, ...others].map(async (it) => await it.end())));

  const inTransaction = async (on: Sql, seconds: number) =>
    await on.begin(async (tx) => await process(tx, seconds));

  test("has what waits done on those", async () => {
    const used = async () => {
      const asked = Array.from({ length: 4 * MOST }, async (_, index) =>
        index % 2 === 0 ? await process(few, 0.1) : await inTransaction(few, 0.1),
      );
      return new Set(await Promise.all(asked)).size;
    };
    // Of many that are made at once PostgreSQL may refuse all but one, since each counts the others.
    let most = await used();
    while (most === 1) most = await used();
    expect(most).toBe(2);
  });

  test("makes more when it may again, and says so at once where it has none", async () => {
    // Not at once: those of the test before are gone a moment after they were closed.
    for (const it of others) {
      await expect.poll(async () => await process(it).catch(() => 0)).not.toBe(0);
    }
    const refused = expect.objectContaining({ code: "53300" });
    expect(await Promise.allSettled([process(few), inTransaction(few, 0)])).toEqual([
      { status: "rejected", reason: refused },
      { status: "rejected", reason: refused },
    ]);
    for (const it of others) await it.end();
    const made = async () => {
      const asked = Array.from({ length: 2 }, async () => await process(few, 0.1).catch(() => 0));
      return new Set(await Promise.all(asked)).size;
    };
    await expect.poll(made, { timeout: 5_000 }).toBe(2);
  });
});
