import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { isDatabaseAway } from "./connection-errors.ts";
import { type Database, openDatabase } from "./database.ts";

let stored: TestDatabase;
let name: string;

beforeAll(async () => {
  stored = await testDatabase();
  const [row] = await stored.sql<{ name: string }[]>`select current_database() as name`;
  name = row?.name ?? "";
  await stored.sql`create table written (n int)`;
});
afterAll(async () => await stored.drop());
beforeEach(async () => await stored.sql`delete from written`);

/** What connections are told that are made from now on. */
async function takesWrites(are: boolean): Promise<void> {
  const value = are ? "off" : "on";
  await stored.sql`alter database ${stored.sql(name)} set default_transaction_read_only = ${stored.sql.unsafe(value)}`;
}

test.each<[string, (database: Database) => Promise<unknown>]>([
  ["a statement", async ({ sql }) => await sql`insert into written values (1)`],
  [
    "a transaction",
    async ({ sql }) => await sql.begin(async (tx) => await tx`insert into written values (1)`),
  ],
  [
    "a statement of the lane",
    async ({ lane }) =>
      await lane.statement(async (sql) => await sql`insert into written values (1)`),
  ],
  [
    "a transaction of the lane",
    async ({ lane }) =>
      await lane.transaction(async (tx) => {
        // What is not waited for fails just as well.
        void tx`insert into written values (1)`;
        return await tx`select 1`;
      }),
  ],
])("%s is done where the database took no writes when it was connected to", async (_, write) => {
  await takesWrites(false);
  const database = openDatabase({ url: stored.url, maxConnections: 1 });
  for (let tries = 0; tries < 3; tries++) {
    await expect(write(database)).rejects.toSatisfy(isDatabaseAway);
  }
  expect(await database.sql`select 1 as n`).toEqual([{ n: 1 }]);
  await takesWrites(true);
  await write(database).catch(() => {});
  await write(database);
  expect((await stored.sql`select from written`).length).toBeGreaterThan(0);
  await database.close();
});
