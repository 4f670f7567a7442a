import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deliveryFaults } from "./delivery.ts";
import { markNumber } from "./payloads.ts";

const first = markNumber({ stream: 0, ordinal: 0 });
const second = markNumber({ stream: 0, ordinal: 1 });
const other = markNumber({ stream: 1, ordinal: 0 });
const sent = [first, second, other];

describe("what was delivered", () => {
  test("is right when all saw the same valid order", () => {
    const marks = [first, other, second];
    expect(deliveryFaults(sent, [member("a", marks), member("b", marks)])).toEqual([]);
  });

  test.each([
    ["an event is missing", [first, second], /did not get 1 of 3/],
    ["an event came twice", [first, second, other, first], /twice/],
    ["an event came that nobody sent", [first, second, other, 99], /not acknowledged/],
    ["of one sender's two the later came first", [second, first, other], /sent later/],
  ])("is wrong when %s", (_, marks, fault) => {
    expect(deliveryFaults(sent, [member("a", marks)])).toEqual([expect.stringMatching(fault)]);
  });

  test("is wrong when two members saw different orders", () => {
    const faults = deliveryFaults(sent, [
      member("a", [first, second, other]),
      member("b", [first, other, second]),
    ]);
    expect(faults).toEqual([expect.stringMatching(/b saw another order than a from event 1/)]);
  });

  test("is wrong when nobody listened", () => {
    expect(deliveryFaults(sent, [])).not.toEqual([]);
  });

  test("is never right after any one event was left out for any one member", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat(), (count, lost, who) => {
        const all = Array.from({ length: count }, (_, ordinal) =>
          markNumber({ stream: 0, ordinal }),
        );
        const members = [0, 1, 2].map((index) =>
          member(`m${index}`, index === who % 3 ? all.toSpliced(lost % count, 1) : all),
        );
        expect(deliveryFaults(all, members)).not.toEqual([]);
      }),
    );
  });
});

function member(who: string, marks: readonly number[]) {
  return { who, marks };
}
