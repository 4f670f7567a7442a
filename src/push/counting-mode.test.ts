import { describe, expect, test } from "vitest";
import { changeRule, putRule } from "#src/push-rules/change-push-rules.ts";
import type { RuleKind } from "#src/push-rules/push-rule.ts";
import { UNCHANGED, type UserPushRules } from "#src/push-rules/user-push-rules.ts";
import { countingMode } from "./counting-mode.ts";

const HERE = "!here";
const inRoom = (pattern: string) => [{ kind: "event_match", key: "room_id", pattern }];
const add = (
  kind: RuleKind,
  ruleId: string,
  draft: Parameters<typeof putRule>[2],
  to: UserPushRules = UNCHANGED,
) => putRule(to, { kind, ruleId }, draft);
const change = (ruleId: string, its: Parameters<typeof changeRule>[3], kind: RuleKind) =>
  changeRule("@a:hs", UNCHANGED, { kind, ruleId }, its);

describe("countingMode", () => {
  test.each([
    ["of those who have changed nothing", UNCHANGED, "counters"],
    [
      "where the master rule silences all",
      change(".m.rule.master", { enabled: true }, "override"),
      "silent",
    ],
    [
      "where a rule mutes the room",
      add("override", HERE, { actions: [], conditions: inRoom(HERE) }),
      "silent",
    ],
    [
      "where another room is muted",
      add("override", "!x", { actions: [], conditions: inRoom("!x") }),
      "counters",
    ],
    [
      "where a pattern may mean the room",
      add("override", "x", { actions: ["notify"], conditions: inRoom("!*") }),
      "rules",
    ],
    ["where only mentions are wanted", add("room", HERE, { actions: [] }), "highlights"],
    ["where all is wanted", add("room", HERE, { actions: ["notify"] }), "rules"],
    ["where another room has a rule", add("room", "!x", { actions: [] }), "counters"],
    [
      "where there is a keyword",
      add("content", "k", { actions: ["notify"], pattern: "k" }),
      "rules",
    ],
    [
      "where a keyword comes to a room rule",
      add(
        "content",
        "k",
        { actions: ["notify"], pattern: "k" },
        add("room", HERE, { actions: [] }),
      ),
      "rules",
    ],
    ["where somebody is muted", add("sender", "@b:hs", { actions: [] }), "rules"],
    [
      "where messages are made silent",
      change(".m.rule.message", { actions: [] }, "underride"),
      "rules",
    ],
    [
      "where reactions are wanted",
      change(".m.rule.reaction", { enabled: false }, "override"),
      "rules",
    ],
    [
      "where only a sound is changed",
      change(
        ".m.rule.message",
        { actions: ["notify", { set_tweak: "sound", value: "x" }] },
        "underride",
      ),
      "counters",
    ],
  ] as const)("%s", (_where, rules, expected) => {
    expect(countingMode(rules, HERE)).toBe(expected);
  });

  test("passes over a rule that is disabled", () => {
    const muted = add("override", HERE, { actions: [], conditions: inRoom(HERE) });
    const off = changeRule("@a:hs", muted, { kind: "override", ruleId: HERE }, { enabled: false });
    expect(countingMode(off, HERE)).toBe("counters");
  });
});
