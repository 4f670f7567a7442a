import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerName } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { inServersTurn } from "./transaction-turns.ts";

let homes: TestHomeservers;

beforeAll(async () => void (homes = await testHomeservers()));
afterAll(async () => await homes.close());

const origin = "hasty.test" as ServerName;

test("small transactions that a server sends all at once are taken in, one after the other", async () => {
  let running = 0;
  const begun: number[] = [];
  const answers = await Promise.all(
    Array.from({ length: 500 }, async (_, index) => {
      return await inServersTurn(
        homes.hs,
        { origin, txnId: `t${index}`, bytes: 1_500 },
        async () => {
          expect(running++).toBe(0);
          begun.push(index);
          await new Promise(setImmediate);
          running--;
          return String(index);
        },
      );
    }),
  );
  expect(begun).toEqual(answers.map((_, index) => index));
  expect(answers).toEqual(begun.map(String));
});

test("of large ones three are kept, and of all together no more than may be in memory", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const send = async (txnId: string, bytes: number) =>
    await inServersTurn(homes.hs, { origin, txnId, bytes }, async () => await promise);
  const taken = ["a", "b", "c"].map(async (it) => await send(it, 16 * 1024 * 1024));
  const refusal = { errcode: "M_LIMIT_EXCEEDED" };
  await expect(send("d", 10)).rejects.toMatchObject(refusal);
  // The same one again is no other.
  taken.push(send("c", 16 * 1024 * 1024));
  resolve("taken in");
  expect(await Promise.all(taken)).toEqual(Array(4).fill("taken in"));
  // Nothing of them is held against it.
  const small = Array.from({ length: 10 }, async (_, index) => await send(`s${index}`, 100_000));
  expect(await Promise.all(small)).toEqual(Array(10).fill("taken in"));
});
