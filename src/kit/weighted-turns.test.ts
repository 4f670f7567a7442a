import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { WeightedTurns } from "./weighted-turns.ts";

const MOST = 10;
const never = new AbortController().signal;

test("never more at once than may, nobody overtakes, and all come to their turns", async () => {
  const works = fc.array(
    fc.record({ weight: fc.integer({ min: 1, max: 15 }), givesUp: fc.boolean() }),
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(works, async (all) => {
      const turns = new WeightedTurns(MOST, Number.POSITIVE_INFINITY);
      let taken = 0;
      const begun: number[] = [];
      const outcomes = await Promise.all(
        all.map(async ({ weight, givesUp }, index) => {
          const impatience = new AbortController();
          const turn = turns.take(weight, impatience.signal);
          if (givesUp) impatience.abort();
          if (!(await turn)) return false;
          begun.push(index);
          expect(taken === 0 || taken + weight <= MOST).toBe(true);
          taken += weight;
          await nextTurn();
          taken -= weight;
          turns.give(weight);
          return true;
        }),
      );
      expect(begun).toEqual(begun.toSorted((a, b) => a - b));
      const left = all.filter((it, index) => !it.givesUp && outcomes[index] !== true);
      expect(left).toEqual([]);
      expect(await turns.take(MOST, never)).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test("who finds that too much waits is told at once", async () => {
  const turns = new WeightedTurns(MOST, 5);
  expect(await turns.take(MOST, never)).toBe(true);
  const waits = turns.take(4, never);
  expect(await turns.take(2, never)).toBe(false);
  turns.give(MOST);
  expect(await waits).toBe(true);
});
