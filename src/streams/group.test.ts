import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutNear, type Pending } from "./group.ts";

/** Writes of which those with the same number, and next to each other, belong together; 0 belongs to none. */
function pendingOf(units: readonly number[]): Pending[] {
  const objects = new Map<number, object>();
  return units.map((unit) => {
    if (unit > 0 && !objects.has(unit)) objects.set(unit, {});
    return { unit: objects.get(unit) } as Pending;
  });
}

describe("a queue of writes", () => {
  test("is cut where nothing is parted, as near as can be", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 14 }),
        (units, at) => {
          const places = Array.from({ length: units.length }, (_, index) => index + 1).filter(
            (place) =>
              units[place] === undefined || units[place] === 0 || units[place] !== units[place - 1],
          );
          const before = places.filter((place) => place <= at).at(-1);
          expect(cutNear(pendingOf(units), at)).toBe(before ?? places[0]);
        },
      ),
    );
  });
});
