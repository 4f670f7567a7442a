import { expect, test } from "vitest";
import { YieldingTurns } from "./yielding-turns.ts";

const LIMITS = { atOnce: 64, mostSlow: 512 };

/** As many as take their turns at once, and more. */
const MANY = 100;

test("of those who take long make way for others", async () => {
  const turns = new YieldingTurns({ ...LIMITS, slowMs: 50 });
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const done: string[] = [];
  const slow = Array.from({ length: MANY }, async () => {
    await turns.take(async () => await answered);
    done.push("slow");
  });
  await turns.take(async () => void done.push("quick"));
  expect(done).toEqual(["quick"]);
  answer();
  await Promise.all(slow);
  expect(done).toHaveLength(MANY + 1);
});

test("are not all given away to those who take long", async () => {
  const turns = new YieldingTurns({ ...LIMITS, slowMs: 0 });
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  let begun = 0;
  const slow = Array.from({ length: 1_000 }, async () => {
    await turns.take(async () => {
      begun++;
      await answered;
    });
  });
  await expect.poll(() => begun, { timeout: 20_000 }).toBe(512 + 64);
  answer();
  await Promise.all(slow);
  expect(begun).toBe(1_000);
});

test("are waited for by no more than may, and lead to what was done", async () => {
  const turns = new YieldingTurns({ atOnce: 1, mostWaiting: 1, slowMs: 60_000, mostSlow: 1 });
  const results = [1, 2, 3].map(
    async (it) => await turns.take(async () => await Promise.resolve(it)),
  );
  expect(await Promise.all(results)).toEqual([{ done: 1 }, { done: 2 }, undefined]);
});

test("end with an error for who had them", async () => {
  const turns = new YieldingTurns({ ...LIMITS, slowMs: 10 });
  const broken = new Error("broken");
  const work = async () => await Promise.reject(broken);
  await expect(turns.take(work)).rejects.toBe(broken);
  let isDone = false;
  await turns.take(async () => void (isDone = true));
  expect(isDone).toBe(true);
});
