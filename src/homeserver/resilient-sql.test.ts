import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { isConnectionError } from "./connection-errors.ts";
import { connect, openDatabase } from "./database.ts";
import type { Patience } from "./silent-connections.ts";
import { type DatabaseGate, databaseGate } from "./testing.ts";

let stored: TestDatabase;
let gate: DatabaseGate;

beforeAll(async () => {
  stored = await testDatabase();
  gate = await databaseGate(stored.url);
});
afterAll(async () => {
  await gate.close();
  await stored.drop();
});

describe("a pool whose connections are lost", () => {
  test("keeps no statement waiting when the database is back", async () => {
    await gate.open();
    const sql = connect(gate.url, 3);
    let isOver = false;
    let lastSettled = 0;
    const failures: unknown[] = [];
    const asking = Array.from({ length: 12 }, async (_, index) => {
      while (!isOver) {
        try {
          await sql`select pg_sleep(${index % 3 === 0 ? 0.03 : 0.001})`;
        } catch (error) {
          failures.push(error);
          await sleep(20);
        }
        lastSettled = performance.now();
      }
    });
    for (let round = 0; round < 3; round++) {
      await sleep(300);
      await gate.close();
      await sleep(700);
      await gate.open();
    }
    const opened = performance.now();
    isOver = true;
    await Promise.all(asking);
    expect(lastSettled - opened).toBeLessThan(1_500);
    expect(failures.length).toBeGreaterThan(0);
    expect(failures.filter((it) => !isConnectionError(it))).toEqual([]);
    await sql.end();
  }, 60_000);
});

/** What is waited for in these tests, in short. */
const SHORT: Patience = { connectSeconds: 1, silentMs: 1_200, askMs: 1_000, lookMs: 100 };

describe("connections that lead nowhere", () => {
  const opened = () => openDatabase({ url: gate.url, maxConnections: 2, patience: SHORT });
  const outcome = async (asked: Promise<unknown>) =>
    await asked.then(
      () => "done",
      (error: unknown) => (isConnectionError(error) ? "connection lost" : error),
    );

  test("are given up, whether or not the database can be had on others", async () => {
    await gate.open();
    const database = opened();
    const { sql, lane } = database;
    const ask = () => [
      outcome(sql`select 1`),
      outcome(sql.begin(async (tx) => await tx`select 1`)),
      outcome(lane.transaction(async (tx) => await tx`select 1`)),
    ];
    for (const isBackAtOnce of [false, true]) {
      await expect
        .poll(async () => await Promise.all(ask()), { timeout: 20_000 })
        .toEqual(Array(3).fill("done"));
      // What went out just before the last answer came is told of by what goes out next.
      await sleep(3 * SHORT.lookMs);
      await gate.fallSilent();
      if (isBackAtOnce) await gate.open();
      const lost = await Promise.all(ask());
      expect(lost).toEqual(Array(3).fill("connection lost"));
      await gate.open();
    }
    await database.close();
  }, 60_000);

  test("are given up also where a transaction that was refused is being undone", async () => {
    await gate.open();
    const database = opened();
    const undone = database.lane.transaction(async (tx) => {
      try {
        await tx`select 1 / 0`;
      } finally {
        await sleep(3 * SHORT.lookMs);
        await gate.fallSilent();
      }
    });
    expect(await outcome(undone)).toBe("connection lost");
    await gate.open();
    await database.close();
  }, 20_000);

  test("are those alone where nothing runs", async () => {
    await gate.open();
    const database = opened();
    const { sql, lane } = database;
    const slow = [
      sql`select pg_sleep(4)`,
      lane.transaction(async (tx) => await tx`select pg_sleep(4)`),
    ];
    expect(await Promise.all(slow.map(outcome))).toEqual(["done", "done"]);
    await database.close();
  }, 60_000);

  test("keep nobody waiting where they end as soon as they are made", async () => {
    await gate.hangUp();
    const database = opened();
    const { sql, lane } = database;
    const write = async () => await outcome(lane.transaction(async (tx) => await tx`select 1`));
    const read = async () => await outcome(sql`select 1`);
    expect([await read(), await write(), await write()]).toEqual(Array(3).fill("connection lost"));
    await gate.open();
    await expect.poll(async () => [await read(), await write()]).toEqual(["done", "done"]);
    await database.close();
  }, 60_000);
});

test("what is not of the connection is no end of it", () => {
  const failed = (code: string, syscall?: string) =>
    isConnectionError(Object.assign(new Error(code), { code }, syscall && { syscall }));
  const ends = ["CONNECTION_ENDED", "CONNECT_TIMEOUT", "57P01", "08006", "ECONNRESET", "EPIPE"];
  expect(ends.filter((it) => !failed(it))).toEqual([]);
  expect(failed("ENOENT", "connect")).toBe(true);
  const others = [
    "ERR_INVALID_ARG_TYPE",
    "UNDEFINED_VALUE",
    "ENOENT",
    "ENOSPC",
    "23505",
    "ABORT_ERR",
  ];
  expect(others.filter((it) => failed(it))).toEqual([]);
});
