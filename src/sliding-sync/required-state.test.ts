import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isLazy, namedPairs, type RequiredState, unionOf, wantsState } from "./required-state.ts";

const types = ["m.room.member", "m.room.name", "m.room.topic"];
const keys = ["", "@alice:test", "@bob:test"];
const element = fc.record(
  { type: fc.constantFrom(...types), stateKey: fc.constantFrom(...keys) },
  { requiredKeys: [] },
);
const part = fc.record({
  include: fc.array(element, { maxLength: 3 }),
  exclude: fc.array(element, { maxLength: 2 }),
  lazyMembers: fc.boolean(),
});
const required: fc.Arbitrary<RequiredState> = fc.array(part, { maxLength: 2 });
const pairs = types.flatMap((type) => keys.map((key) => [type, key] as const));
const wanted = (it: RequiredState) => pairs.filter((pair) => wantsState(it, ...pair));

describe("what several wish together", () => {
  test("is what any of them wishes, in whatever order", () => {
    fc.assert(
      fc.property(required, required, (one, other) => {
        const both = unionOf([one, other]);
        expect(wanted(both)).toEqual(
          pairs.filter((pair) => wantsState(one, ...pair) || wantsState(other, ...pair)),
        );
        expect(isLazy(both)).toBe(isLazy(one) || isLazy(other));
        expect(JSON.stringify(unionOf([other, one]))).toBe(JSON.stringify(both));
      }),
    );
  });
});

test("what is wanted by its name is wanted, and found among what is", () => {
  fc.assert(
    fc.property(required, (it) => {
      for (const pair of namedPairs(it)) expect(wantsState(it, ...pair)).toBe(true);
    }),
  );
});

test("members that come lazily are not all members, but those that are named are wanted", () => {
  const all = { include: [{}], exclude: [], lazyMembers: true };
  expect(wantsState([all], "m.room.topic", "")).toBe(true);
  expect(wantsState([all], "m.room.member", "@alice:test")).toBe(false);
  const named = { ...all, include: [{ type: "m.room.member", stateKey: "@alice:test" }] };
  expect(wantsState([named], "m.room.member", "@alice:test")).toBe(true);
  expect(wantsState([named], "m.room.member", "@bob:test")).toBe(false);
});

test("a large state is looked through in a moment for who asks for much of it by name", () => {
  const asked = Array.from({ length: 100 }, (_, list) => ({
    include: Array.from({ length: 500 }, (_, n) => ({
      type: `type ${list}`,
      stateKey: `key ${n}`,
    })),
    exclude: [],
    lazyMembers: false,
  }));
  const begun = process.cpuUsage();
  const found = Array.from({ length: 40_000 }, (_, n) =>
    wantsState(asked, "m.room.member", `@${n}`),
  );
  const { user } = process.cpuUsage(begun);
  expect(found).not.toContain(true);
  expect(user / 1_000_000).toBeLessThan(3);
});
