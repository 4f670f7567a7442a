import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { connect } from "./database.ts";
import { isConnectionError } from "./resilient-sql.ts";
import { type DatabaseGate, databaseGate } from "./testing.ts";

let database: TestDatabase;
let gate: DatabaseGate;

beforeAll(async () => {
  database = await testDatabase();
  gate = await databaseGate(database.url);
});
afterAll(async () => {
  await gate.close();
  await database.drop();
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
