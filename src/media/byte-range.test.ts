import fc from "fast-check";
import { expect, test } from "vitest";
import { readByteRange } from "./byte-range.ts";

test.each([
  [undefined, 10, undefined],
  ["bytes=0-", 10, { start: 0, end: 10 }],
  ["bytes=2-4", 10, { start: 2, end: 5 }],
  ["bytes=2-99", 10, { start: 2, end: 10 }],
  ["bytes=-3", 10, { start: 7, end: 10 }],
  ["bytes=-99", 10, { start: 0, end: 10 }],
  ["bytes=10-", 10, "unsatisfiable"],
  ["bytes=-0", 10, "unsatisfiable"],
  ["bytes=0-", 0, "unsatisfiable"],
  ["bytes=4-2", 10, undefined],
  ["bytes=-", 10, undefined],
  ["bytes=0-1,3-4", 10, undefined],
  ["lines=0-1", 10, undefined],
])("%s of %d bytes is %j", (header, size, expected) => {
  expect(readByteRange(header, size)).toEqual(expected);
});

test("a range is never empty and never beyond the file", () => {
  const offset = fc.oneof(fc.nat(50), fc.constant(""));
  fc.assert(
    fc.property(offset, offset, fc.nat(40), (first, last, size) => {
      const range = readByteRange(`bytes=${first}-${last}`, size);
      if (typeof range !== "object") return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.end).toBeGreaterThan(range.start);
      expect(range.end).toBeLessThanOrEqual(size);
    }),
  );
});
