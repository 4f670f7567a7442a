import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "./heap.ts";

test("gives back everything, smallest first", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = new Heap<number>((x, y) => x < y);
      for (const number of numbers) heap.push(number);
      const popped: number[] = [];
      for (let next = heap.pop(); next !== undefined; next = heap.pop()) popped.push(next);
      expect(popped).toEqual(numbers.toSorted((x, y) => x - y));
    }),
  );
});

test("stays in order when pushes and pops alternate", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer())), (steps) => {
      const heap = new Heap<number>((x, y) => x < y);
      let held: number[] = [];
      for (const step of steps) {
        if (step !== null) {
          heap.push(step);
          held.push(step);
          continue;
        }
        held = held.toSorted((x, y) => x - y);
        expect(heap.pop()).toBe(held.shift());
      }
    }),
  );
});
