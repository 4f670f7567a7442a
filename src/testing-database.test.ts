import { afterAll, expect, test } from "vitest";
import { testDatabase } from "./testing-database.ts";

const one = await testDatabase();
const two = await testDatabase();
afterAll(async () => await Promise.all([one.drop(), two.drop()]));

test("each caller has a database for itself", async () => {
  await one.sql`create table only_here (n integer)`;
  const [here] = await one.sql`select to_regclass('only_here') as name`;
  const [there] = await two.sql`select to_regclass('only_here') as name`;
  expect([here?.["name"], there?.["name"]]).toEqual(["only_here", null]);
});
