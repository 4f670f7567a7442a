import { afterAll, beforeAll, expect, test } from "vitest";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { keepingStill, turnOfReceived } from "./room-turns.ts";

const ROOM_KEY = 1;

let homes: TestHomeservers;

beforeAll(async () => void (homes = await testHomeservers()));
afterAll(async () => await homes.close());

test.each(["first", "last"])(
  "local senders wait until all that keeps a room still is over, if what began %s ends before",
  async (which) => {
    const { hs } = homes;
    const works = Array.from({ length: 2 }, () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      return { end: resolve, over: keepingStill(hs, ROOM_KEY, async () => await promise) };
    });
    const [quick, slow] = which === "first" ? works : works.toReversed();
    let maySend = false;
    const sender = turnOfReceived(hs, ROOM_KEY)?.then(() => (maySend = true));
    quick?.end();
    await quick?.over;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(maySend).toBe(false);
    expect(turnOfReceived(hs, ROOM_KEY)).toBeDefined();
    slow?.end();
    await Promise.all([slow?.over, sender]);
    expect(turnOfReceived(hs, ROOM_KEY)).toBeUndefined();
  },
);

test("a local sender waits for a time and no longer, whatever keeps the room still", async () => {
  const { hs } = homes;
  const { promise, resolve } = Promise.withResolvers<void>();
  const over = keepingStill(hs, ROOM_KEY, async () => await promise);
  await turnOfReceived(hs, ROOM_KEY, 20);
  expect(turnOfReceived(hs, ROOM_KEY)).toBeDefined();
  resolve();
  await over;
});
