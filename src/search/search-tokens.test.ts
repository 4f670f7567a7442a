import fc from "fast-check";
import { expect, test } from "vitest";
import { tokensOf } from "./search-tokens.ts";

const text = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc
    .array(fc.constantFrom("Harbour", "a", "42", "x1", "_", "'s", " ", "\n", "~1.7~"), {
      maxLength: 60,
    })
    .map((it) => it.join("")),
  fc.integer({ min: 60, max: 70 }).map((length) => "long".repeat(length)),
);

test("finds the same words in a text, be it ASCII alone or not", () => {
  fc.assert(
    fc.property(text, (ascii) => {
      const withMore = tokensOf(`${ascii} \u00e9\u00e8\u00e0`);
      expect(withMore).toEqual([...new Set([...tokensOf(ascii), "eea"])]);
    }),
  );
});

test("takes no more tokens of a text than any event can hold words", () => {
  const words = Array.from({ length: 30_000 }, (_, index) => index.toString(36)).join(" ");
  expect(tokensOf(words).length).toBe(20_000);
});
