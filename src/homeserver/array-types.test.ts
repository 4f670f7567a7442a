import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testDatabase, type TestDatabase } from "#src/testing-database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(async () => await database.drop());

describe("arrays", () => {
  test("come back from the database as they were sent", async () => {
    const texts = fc.array(
      fc.option(
        fc.string({ unit: "binary" }).filter((it) => it.isWellFormed() && !it.includes("\0")),
      ),
    );
    const numbers = fc.array(fc.option(fc.maxSafeInteger()));
    const property = fc.asyncProperty(texts, numbers, async (words, counts) => {
      const [row] = await database.sql<{ words: unknown; counts: unknown }[]>`
        select ${words}::text[] as words, ${counts}::bigint[] as counts`;
      expect(row).toEqual({ words, counts: counts.map((it) => (it === null ? null : it + 0)) });
    });
    await fc.assert(property, { numRuns: 300 });
  });

  test("hold what looks like PostgreSQL's own words and marks", async () => {
    const words = ["NULL", "null", "", "{}", '"', "\\", 'a"b\\c', ",", " ", "\n"];
    const [row] = await database.sql`
      select ${words}::text[] as words, ${["true", "false"]}::text[]::boolean[] as truths,
        ${[1, 2]}::int[] as integers, ${[3]}::smallint[] as smallints`;
    expect(row).toEqual({ words, truths: [true, false], integers: [1, 2], smallints: [3] });
  });
});
