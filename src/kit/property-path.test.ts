import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyAt, splitPropertyPath } from "./property-path.ts";

const join = (names: readonly string[]) =>
  names.map((it) => it.replaceAll(/[\\.]/g, String.raw`\$&`)).join(".");

describe("splitPropertyPath", () => {
  test("gives back any names that were joined with escapes", () => {
    const names = fc.array(fc.string({ unit: fc.constantFrom("a", ".", "\\") }), { minLength: 1 });
    fc.assert(
      fc.property(names, (it) => {
        expect(splitPropertyPath(join(it))).toEqual(it);
      }),
    );
  });

  test("leaves a backslash before any other character alone", () => {
    expect(splitPropertyPath(String.raw`content.m\foo`)).toEqual(["content", String.raw`m\foo`]);
  });
});

test("propertyAt finds nothing that is inherited", () => {
  expect(propertyAt({ content: {} }, ["content", "constructor"])).toBeUndefined();
  expect(propertyAt({ a: { b: 1 } }, ["a", "b"])).toBe(1);
});
