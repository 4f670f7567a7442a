import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { openDatabase } from "./database.ts";
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

async function answered(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "done",
    (error: unknown) => (isConnectionError(error) ? "connection lost" : error),
  );
}

describe("a lane", () => {
  test("refuses while there is no database, and works again when there is", async () => {
    const opened = openDatabase({ url: gate.url, maxConnections: 2 });
    const write = async () =>
      await answered(opened.lane.transaction(async (tx) => await tx`select 1`));
    // Several at a time: one that cannot connect must not leave the others waiting.
    const writes = async () => await Promise.all([write(), write(), write()]);

    expect(await writes()).toEqual(Array(3).fill("connection lost"));
    await gate.open();
    expect(await write()).toBe("done");
    await gate.close();
    expect(await write()).toBe("connection lost");
    expect(await writes()).toEqual(Array(3).fill("connection lost"));
    await gate.open();
    await expect.poll(write).toBe("done");
    await opened.close();
  });

  test("refuses what was on its way when the connection is lost, and repeats none of it", async () => {
    await gate.open();
    const opened = openDatabase({ url: gate.url, maxConnections: 2 });
    await database.sql`create table counted (n int)`;
    const lost = answered(
      opened.lane.transaction(async (tx) => {
        void tx`insert into counted values (1)`;
        await tx`select pg_sleep(0.2)`;
        await gate.close();
        await tx`insert into counted values (2)`;
      }),
    );
    expect(await lost).toBe("connection lost");
    await gate.open();
    expect(await answered(opened.lane.transaction(async (tx) => await tx`select 1`))).toBe("done");
    expect(await database.sql`select n from counted`).toEqual([]);
    await opened.close();
  });
});
