import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { noteOmission } from "../needs.ts";
import { specificationData } from "../specification/load-yaml.ts";
import { specifiedOperations } from "../specification/operations.ts";
import { specSupport, supportedOperations, testsOf } from "./spec-support.ts";

const operations = supportedOperations();

test("operations are found at all", () => {
  const of = (api: string) => operations.filter((it) => it.api === api).length;
  expect(of("client-server")).toBeGreaterThan(90);
  expect(of("server-server")).toBeGreaterThan(30);
});

test("every operation that somebody can call has a test of its own", () => {
  const untested = operations.filter((it) => it.testedIn.length === 0);
  expect(untested.map((it) => it.operation)).toEqual([]);
});

const directory = specificationData();
if (directory === undefined) noteOmission("specification");

describe.skipIf(directory === undefined)("the specification", () => {
  test("has no operation between servers without a test", () => {
    const filesFor = testsOf("server-server");
    const specified = specifiedOperations(directory ?? "").filter(
      (it) => it.api === "server-server",
    );
    expect(specified).toHaveLength(36);
    const untested = specified.filter((it) => filesFor(it.operationId).length === 0);
    expect(untested.map((it) => it.operationId)).toEqual([]);
  });
});

test("docs/spec-support.md says what there is (if not: npm run docs)", () => {
  const path = new URL("../../docs/spec-support.md", import.meta.url);
  expect(readFileSync(path, "utf8")).toBe(specSupport());
});
