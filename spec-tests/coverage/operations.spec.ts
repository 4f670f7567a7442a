import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { specSupport, supportedOperations } from "./spec-support.ts";

const operations = supportedOperations();

test("operations are found at all", () => {
  expect(operations.length).toBeGreaterThan(90);
});

test("every operation that clients can call has a test of its own", () => {
  const untested = operations.filter((it) => it.testedIn.length === 0);
  expect(untested.map((it) => it.operation)).toEqual([]);
});

test("docs/spec-support.md says what there is (if not: npm run docs)", () => {
  const path = new URL("../../docs/spec-support.md", import.meta.url);
  expect(readFileSync(path, "utf8")).toBe(specSupport());
});
