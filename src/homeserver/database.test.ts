import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { openDatabase } from "./database.ts";

let stored: TestDatabase;

beforeAll(async () => {
  stored = await testDatabase();
});
afterAll(async () => await stored.drop());

test("what a database has set for others changes nothing for us", async () => {
  const [row] = await stored.sql<{ name: string }[]>`select current_database() as name`;
  const settings = {
    bytea_output: "escape",
    default_transaction_isolation: "serializable",
    statement_timeout: "20ms",
    lock_timeout: "20ms",
  };
  for (const [name, value] of Object.entries(settings)) {
    await stored.sql.unsafe(`alter database "${row?.name}" set ${name} = '${value}'`);
  }
  const database = openDatabase({ url: stored.url, maxConnections: 2 });
  const { sql, lane } = database;
  const bytes = Buffer.from([0, 1, 92, 255]);
  for (const read of [
    await sql`select ${bytes}::bytea as bytes from pg_sleep(0.1)`,
    await lane.statement(async (own) => await own`select ${bytes}::bytea as bytes`),
  ]) {
    expect(read).toEqual([{ bytes }]);
  }
  const [isolation] = await sql`show transaction_isolation`;
  expect(isolation).toEqual({ transaction_isolation: "read committed" });

  await sql`create table held (n int)`;
  const held = Promise.withResolvers<void>();
  const { promise: isHeld, resolve } = Promise.withResolvers<void>();
  const holding = sql.begin(async (tx) => {
    await tx`lock table held`;
    resolve();
    await held.promise;
  });
  await isHeld;
  setTimeout(held.resolve, 100);
  expect(await sql`select from held`).toEqual([]);
  await holding;
  await database.close();
});
