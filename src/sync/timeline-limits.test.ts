import { expect, test } from "vitest";
import { lookedAtFor, timelineLimit } from "./timeline-limits.ts";

test("one room has as many events as the client wants, up to a thousand", () => {
  expect([undefined, 0, 5, 1_000, 5_000].map((it) => timelineLimit(it, 1))).toEqual([
    10, 0, 5, 1_000, 1_000,
  ]);
  expect([1, 20, 1_000].map((it) => lookedAtFor(it, 1))).toEqual([100, 200, 10_000]);
});

test("of many rooms an answer is not made from more events than memory has room for", () => {
  expect(timelineLimit(1_000, 2_000)).toBe(100);
  expect(timelineLimit(20, 2_000)).toBe(20);
  for (const rooms of [1, 100, 1_000, 2_000]) {
    const limit = timelineLimit(1_000, rooms);
    expect(rooms * lookedAtFor(limit, rooms)).toBeLessThanOrEqual(200_000);
  }
});
