import { afterAll, beforeAll, expect, test } from "vitest";
import { testDatabase, type TestDatabase } from "#src/testing-database.ts";
import { connect } from "./database.ts";
import type { Sql } from "./sql.ts";

let database: TestDatabase;
let sql: Sql;

beforeAll(async () => {
  database = await testDatabase();
  sql = connect(database.url, 1);
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

test("a plan that was made for an empty table is by index when the table has grown", async () => {
  await sql`create table growing (a bigint, b text, primary key (a, b))`;
  await sql`prepare of_those (bigint[], text[]) as
    select a, b from growing join unnest($1, $2) as asked (a, b) using (a, b)`;
  await sql`execute of_those ('{1}', '{x}')`;
  await sql`insert into growing select number, 'x' from generate_series(1, 20000) as number`;
  const plan = await sql<{ "QUERY PLAN": string }[]>`explain execute of_those ('{1}', '{x}')`;
  const steps = plan.map((it) => it["QUERY PLAN"]).join("\n");
  expect(steps).toMatch(/Index (Only )?Scan using growing_pkey/);
  expect(steps).toMatch(/Index Cond: \(\(?a = /);
});

test("no statement is compiled, whatever its plan counts as", async () => {
  const [setting] = await sql<{ jit: string }[]>`show jit`;
  expect(setting?.jit).toBe("off");
});
