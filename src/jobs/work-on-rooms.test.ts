import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { YieldingTurns } from "#src/kit/yielding-turns.ts";
import { workOnRooms } from "./work-on-rooms.ts";

const unending = new AbortController().signal;

/** Rooms that are due until they have been worked on. */
function rooms(...keys: number[]) {
  const left = new Set(keys);
  return { left, due: async (most: number) => [...left].slice(0, most) };
}

test("a room that takes long holds up no others, and is worked on once", async () => {
  const { left, due } = rooms(1, 2, 3, 4);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const begun: number[] = [];
  const turns = new YieldingTurns({ atOnce: 2, slowMs: 20, mostSlow: 10 });
  const all = workOnRooms(unending, {
    due,
    turns,
    async work(roomKey) {
      begun.push(roomKey);
      if (roomKey <= 2) await released;
      left.delete(roomKey);
    },
  });
  await expect.poll(() => [...left], { timeout: 20_000 }).toEqual([1, 2]);
  release();
  await all;
  expect(begun).toEqual([1, 2, 3, 4]);
  expect(left.size).toBe(0);
});

test("what fails is said when the rest is done", async () => {
  const { left, due } = rooms(1, 2);
  const all = workOnRooms(unending, {
    due,
    async work(roomKey) {
      if (roomKey === 1) throw new Error("no luck with one");
      await nextTurn();
      left.delete(roomKey);
    },
  });
  await expect(all).rejects.toThrow("no luck with one");
  expect([...left]).toEqual([1]);
});

test("nothing more is begun when it is to end", async () => {
  const stopping = new AbortController();
  const begun: number[] = [];
  await workOnRooms(stopping.signal, {
    due: rooms(1, 2).due,
    turns: new YieldingTurns({ atOnce: 1, slowMs: 60_000, mostSlow: 0 }),
    async work(roomKey) {
      begun.push(roomKey);
      stopping.abort();
    },
  });
  expect(begun).toEqual([1]);
});
