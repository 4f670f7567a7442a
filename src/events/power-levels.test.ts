import { describe, expect, test } from "vitest";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { rawLiteral } from "#src/kit/raw-literal.ts";
import { creatorsOf, parseLevel, readPowerLevels } from "./power-levels.ts";
import { event, rulesOf } from "./testing.ts";

const ALICE = "@alice:hs1.test";
const BOB = "@bob:hs1.test";

function levels(
  content: CanonicalObject | undefined,
  version = "11",
  create: CanonicalObject = {},
) {
  const powerLevels = content && event({ content });
  const creation = event({ sender: ALICE, content: { creator: ALICE, ...create } });
  return readPowerLevels(powerLevels, creation, rulesOf(version));
}

describe("readPowerLevels", () => {
  test("has the specification's defaults", () => {
    for (const { levelFor, named, notificationLevel } of [levels({}), levels(undefined)]) {
      expect(levelFor("m.room.message", false)).toBe(0);
      expect(levelFor("m.room.topic", true)).toBe(50);
      expect(notificationLevel("room")).toBe(50);
      expect([named("ban"), named("kick"), named("redact"), named("invite")]).toEqual([
        50, 50, 50, 0,
      ]);
    }
  });

  test("gives the creator 100 as long as nobody says otherwise", () => {
    expect(levels(undefined).powerOf(ALICE)).toBe(100);
    expect(levels(undefined).powerOf(BOB)).toBe(0);
    expect(levels({}).powerOf(ALICE)).toBe(0);
    expect(levels({ users: { [ALICE]: 5 }, users_default: 3 }).powerOf(ALICE)).toBe(5);
    expect(levels({ users: { [ALICE]: 5 }, users_default: 3 }).powerOf(BOB)).toBe(3);
  });

  test("knows by the version who the creator is", () => {
    expect(levels(undefined, "10", { creator: BOB }).powerOf(BOB)).toBe(100);
    expect(levels(undefined, "10", { creator: BOB }).powerOf(ALICE)).toBe(0);
    expect(levels(undefined, "11", { creator: BOB }).powerOf(BOB)).toBe(0);
  });

  test("gives creators infinite power, since version 12", () => {
    const create = { additional_creators: [BOB, 5] };
    const { powerOf } = levels({ users: { [ALICE]: 1 } }, "12", create);
    expect([powerOf(ALICE), powerOf(BOB)]).toEqual([Infinity, Infinity]);
    expect(levels(undefined, "12").powerOf(BOB)).toBe(0);
    const room = event({ sender: ALICE, content: create });
    expect(creatorsOf(room, rulesOf("12"))).toEqual(new Set([ALICE, BOB]));
    expect(creatorsOf(room, rulesOf("11"))).toEqual(new Set([ALICE]));
    expect(creatorsOf(room, rulesOf("10"))).toEqual(new Set());
  });

  test("takes what is no level for not there", () => {
    const broken = levels({ users: [], events: "x", ban: {}, notifications: { room: "x" } });
    expect(broken.powerOf("constructor")).toBe(0);
    expect(broken.levelFor("__proto__", true)).toBe(50);
    expect(broken.named("ban")).toBe(50);
    expect(broken.notificationLevel("room")).toBe(50);
  });
});

describe("parseLevel", () => {
  test.each([
    [50, 50],
    ["50", 50],
    [" +0050\n", 50],
    ["-7", -7],
    ["-0", 0],
    [50.9, 50],
    [-50.9, -50],
    [-0.5, 0],
    [rawLiteral("1e+20"), 1e20],
    ["5.0", undefined],
    ["", undefined],
    ["0x1f", undefined],
    [true, undefined],
    [null, undefined],
    [[5], undefined],
  ])("reads %j as %s until version 9", (value, level) => {
    expect(parseLevel(value, rulesOf("5"))).toBe(level);
    expect(parseLevel(value, rulesOf("10"))).toBe(Number.isSafeInteger(value) ? value : undefined);
  });
});
