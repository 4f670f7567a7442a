import { afterAll, beforeAll, expect, test } from "vitest";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import type { Stream } from "./stream.ts";
import { write, writeTogether } from "./write.ts";

let servers: TestHomeservers;
beforeAll(async () => {
  servers = await testHomeservers(1);
});
afterAll(async () => await servers.close());

test("what can wait goes on waiting for others while a group is committed", async () => {
  const { hs } = servers;
  const groups: string[][] = [];
  const later: Promise<void>[] = [];
  const urgent: Stream<string, void> = {
    name: "noted",
    async store(_hs, _lane, placed) {
      groups.push(placed.map((it) => it.write));
      if (groups.length === 1) later.push(write(hs, patient, "soon"));
      return await Promise.resolve(
        placed.map(() => ({ ok: true, result: undefined, changes: [] })),
      );
    },
    changesBetween: async () => await Promise.resolve([]),
  };
  const patient: Stream<string, void> = { ...urgent, patienceMs: 1_500 };
  await write(hs, urgent, "at once");
  later.push(write(hs, patient, "a little later"));
  await Promise.all(later);
  expect(groups).toEqual([["at once"], ["soon", "a little later"]]);
});

test("writes that wait together are not tried one by one where the database has no connection left", async () => {
  const { hs } = servers;
  let tries = 0;
  const full = Object.assign(new Error("too many clients already"), { code: "53300" });
  const stream: Stream<number, void> = {
    name: "full",
    async prepare() {
      tries++;
      return await Promise.reject(full);
    },
    store: async () => await Promise.resolve([]),
    changesBetween: async () => await Promise.resolve([]),
  };
  const writes = Array.from({ length: 8 }, async (_, index) => await write(hs, stream, index));
  const reasons = (await Promise.allSettled(writes)).flatMap((it) =>
    it.status === "rejected" ? [it.reason as unknown] : [],
  );
  expect(reasons).toEqual(Array.from({ length: 8 }, () => full));
  expect(tries).toBe(1);
});

test("writes that belong together go into one group, be it as full as it may", async () => {
  const { hs } = servers;
  const groups: number[][] = [];
  const stream: Stream<number, void> = {
    name: "counted",
    async store(_hs, _lane, placed) {
      groups.push(placed.map((it) => it.write));
      return await Promise.resolve(
        placed.map(() => ({ ok: true, result: undefined, changes: [] })),
      );
    },
    changesBetween: async () => await Promise.resolve([]),
  };
  const numbers = (from: number, upTo: number) =>
    Array.from({ length: upTo - from }, (_, index) => from + index);
  const ask = async (all: readonly number[]) =>
    await Promise.all(all.map(async (it) => await write(hs, stream, it)));
  await Promise.all([
    ask(numbers(0, 255)),
    writeTogether(hs, async () => await ask([255, 256])),
    ask([257]),
    writeTogether(hs, async () => await ask(numbers(258, 658))),
    ask([658]),
  ]);
  expect(groups).toEqual([numbers(0, 255), [255, 256, 257], numbers(258, 658), [658]]);
});

test("nothing is stored of what belongs together where the database refuses a part of it", async () => {
  const { hs } = servers;
  const stored: number[] = [];
  const stream: Stream<number, void> = {
    name: "divisors",
    async store(_hs, lane, placed) {
      const divisors = placed.map((it) => it.write);
      await lane`select 1 / it from unnest(${divisors}::bigint[]) as it`;
      return placed.map(() => ({ ok: true, result: undefined, changes: [] }));
    },
    committed(_hs, placed) {
      stored.push(...placed.map((it) => it.write));
    },
    changesBetween: async () => await Promise.resolve([]),
  };
  const one = async (it: number) => await write(hs, stream, it);
  const two = async (first: number, second: number) =>
    await writeTogether(hs, async () => await Promise.all([one(first), one(second)]));
  const outcomes = await Promise.allSettled([one(1), two(2, 0), two(4, 5), one(6)]);
  const statuses = outcomes.map((it) => it.status);
  expect(statuses).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(stored).toEqual([1, 4, 5, 6]);
});
