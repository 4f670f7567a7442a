import fc from "fast-check";
import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

test("never more than so many at once, nobody overtakes, and who finds the queue full is told at once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 5 }),
      fc.array(fc.boolean(), { maxLength: 20 }),
      async (atOnce, mostWaiting, fails) => {
        const turns = new Turns(atOnce, mostWaiting);
        let running = 0;
        let most = 0;
        const begun: number[] = [];
        const results = await Promise.allSettled(
          fails.map(async (isToFail, index) => {
            return await turns.take(async () => {
              begun.push(index);
              most = Math.max(most, ++running);
              await new Promise((resolve) => setImmediate(resolve));
              running--;
              if (isToFail) throw new Error("failed");
              return index;
            });
          }),
        );
        const taken = Math.min(fails.length, atOnce + mostWaiting);
        expect(most).toBe(Math.min(atOnce, taken));
        expect(begun).toEqual(Array.from({ length: taken }, (_, index) => index));
        const refused = results.slice(taken);
        expect(refused).toEqual(refused.map(() => ({ status: "fulfilled", value: undefined })));
        expect(results.slice(0, taken).map((it) => it.status)).toEqual(
          fails.slice(0, taken).map((isToFail) => (isToFail ? "rejected" : "fulfilled")),
        );
        expect(await turns.take(async () => "free again")).toEqual({ done: "free again" });
      },
    ),
    { numRuns: 40 },
  );
});
