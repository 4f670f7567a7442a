import fc from "fast-check";
import { expect, test } from "vitest";
import { splitStateKey, stateKeyOf } from "./pdu.ts";

test("stateKeyOf makes different strings of different pairs", () => {
  const part = fc.oneof(fc.string(), fc.constantFrom("1", ":", "1:1", ""));
  fc.assert(
    fc.property(part, part, part, part, (type, key, otherType, otherKey) => {
      expect(splitStateKey(stateKeyOf(type, key))).toEqual([type, key]);
      const same = type === otherType && key === otherKey;
      expect(stateKeyOf(type, key) === stateKeyOf(otherType, otherKey)).toBe(same);
    }),
  );
});
