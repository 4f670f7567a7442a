import { describe, expect, test } from "vitest";
import { poissonArrivals, seededRandom } from "./arrivals.ts";
import {
  editContent,
  kindAt,
  markedBody,
  markNumber,
  marksIn,
  messageContent,
  redactionContent,
  stateContent,
} from "./payloads.ts";
import { latencyOf, median } from "./quantiles.ts";

const mark = { stream: 31, ordinal: 4_711 };

describe("what is sent", () => {
  test("has bodies of 600 bytes", () => {
    expect(Buffer.byteLength(markedBody(mark))).toBe(600);
  });

  test.each([
    ["message", messageContent(mark)],
    ["edit", editContent(mark, "$event")],
    ["state", stateContent(mark)],
    ["redaction", redactionContent(mark)],
  ])("is JSON and carries its mark once: %s", (_, content) => {
    expect(() => JSON.parse(content)).not.toThrow();
    expect(marksIn(content)).toEqual([markNumber(mark)]);
  });

  test("is one fifth state and one twentieth each redactions and edits", () => {
    const kinds = Map.groupBy(
      Array.from({ length: 2_000 }, (_, index) => kindAt(index)),
      (it) => it,
    );
    const counts = [...kinds].map(([kind, { length }]) => [kind, length]);
    expect(Object.fromEntries(counts)).toEqual({
      message: 1_400,
      state: 400,
      redaction: 100,
      edit: 100,
    });
  });
});

test("arrivals are as many as asked for, in order, and the same for the same seed", () => {
  const plan = { perSecond: 20, seconds: 500 };
  const arrivals = poissonArrivals(plan, seededRandom(1));
  expect(Math.abs(arrivals.length - 10_000)).toBeLessThan(400); // four standard deviations
  expect(arrivals).toEqual([...arrivals].sort((a, b) => a - b));
  expect(poissonArrivals(plan, seededRandom(1))).toEqual(arrivals);
  expect(poissonArrivals(plan, seededRandom(2))).not.toEqual(arrivals);
});

test("quantiles are values that occurred", () => {
  const times = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(latencyOf(times)).toEqual({ p50: 50, p95: 95, p99: 99, max: 100 });
  expect(latencyOf([])).toBeUndefined();
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});
