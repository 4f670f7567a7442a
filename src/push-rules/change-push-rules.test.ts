import { describe, expect, test } from "vitest";
import { changeRule, deleteRule, findRule, putRule } from "./change-push-rules.ts";
import { rulesetOf, UNCHANGED, type UserPushRules } from "./user-push-rules.ts";

const ALICE = "@alice:hs";
const NOTIFY = { actions: ["notify"] };
const name = (ruleId: string) => ({ kind: "override", ruleId }) as const;
const ids = (rules: UserPushRules) =>
  rulesetOf(ALICE, rules)
    .override.filter((it) => !it.default)
    .map((it) => it.rule_id);
const three = ["c", "b", "a"].reduce((rules, it) => putRule(rules, name(it), NOTIFY), UNCHANGED);

describe("putRule", () => {
  test("puts a new rule first among the user's own, after the master rule", () => {
    expect(ids(three)).toEqual(["a", "b", "c"]);
    expect(rulesetOf(ALICE, three).override[0]?.rule_id).toBe(".m.rule.master");
  });

  test("puts it beside another one if told to", () => {
    expect(ids(putRule(three, name("x"), NOTIFY, { before: "b" }))).toEqual(["a", "x", "b", "c"]);
    expect(ids(putRule(three, name("x"), NOTIFY, { after: "b" }))).toEqual(["a", "b", "x", "c"]);
    expect(ids(putRule(three, name("c"), NOTIFY, { before: "a", after: "b" }))).toEqual([
      "c",
      "a",
      "b",
    ]);
  });

  test("leaves a rule that it replaces where it is, and disabled if it was", () => {
    const off = changeRule(ALICE, three, name("b"), { enabled: false });
    const replaced = putRule(off, name("b"), { actions: [] });
    expect(ids(replaced)).toEqual(["a", "b", "c"]);
    expect(findRule(ALICE, replaced, name("b"))).toMatchObject({ enabled: false, actions: [] });
  });

  test("keeps the actions that are history, for the clients that look for them", () => {
    const actions = ["dont_notify", "notify", "coalesce"] as const;
    const rules = putRule(UNCHANGED, name("a"), { actions });
    expect(findRule(ALICE, rules, name("a")).actions).toEqual(actions);
  });

  test.each([".mine", "a/b", String.raw`a\b`, ""])("refuses the ID %j", (ruleId) => {
    expect(() => putRule(UNCHANGED, name(ruleId), NOTIFY)).toThrow(
      expect.objectContaining({ errcode: "M_INVALID_PARAM" }),
    );
  });

  test("refuses a place beside a rule that is not there, or is a default one", () => {
    for (const before of ["nobody", ".m.rule.master"]) {
      expect(() => putRule(three, name("x"), NOTIFY, { before })).toThrow(
        expect.objectContaining({ errcode: "M_UNKNOWN", status: 400 }),
      );
    }
  });

  const tooLarge = expect.objectContaining({ errcode: "M_TOO_LARGE" });
  const looksFor = (pattern: string, key = "content.body") => ({
    actions: [],
    conditions: [{ kind: "event_match", key, pattern }],
  });

  test("refuses a rule that would take long to try", () => {
    const [long, condition] = ["a".repeat(256), { kind: "event_match" }];
    for (const draft of [
      looksFor(long),
      looksFor("a", long),
      { actions: [], conditions: Array.from({ length: 21 }, () => condition) },
    ]) {
      expect(() => putRule(UNCHANGED, name("a"), draft)).toThrow(tooLarge);
    }
  });

  test("refuses more patterns to be looked for in each event than anybody has, but not more rooms", () => {
    const put = (rules: UserPushRules, index: number, draft: ReturnType<typeof looksFor>) =>
      putRule(rules, name(`${index}`), draft);
    const numbers = Array.from({ length: 200 }, (_, index) => index);
    const many = numbers.reduce((rules, it) => put(rules, it, looksFor("word")), UNCHANGED);
    expect(() => put(many, 200, looksFor("word"))).toThrow(tooLarge);
    expect(ids(put(many, 200, looksFor("!room", "room_id")))).toHaveLength(201);
    const long = numbers
      .slice(0, 20)
      .reduce((rules, it) => put(rules, it, looksFor("a".repeat(200))), UNCHANGED);
    expect(() => put(long, 20, looksFor("a"))).toThrow(tooLarge);
    const keyword = { actions: [], pattern: "word" };
    expect(() => putRule(many, { kind: "content", ruleId: "k" }, keyword)).toThrow(tooLarge);
  });

  test("refuses a content rule without a pattern", () => {
    expect(() => putRule(UNCHANGED, { kind: "content", ruleId: "k" }, NOTIFY)).toThrow(
      expect.objectContaining({ errcode: "M_MISSING_PARAM" }),
    );
  });
});

describe("changeRule and deleteRule", () => {
  test("change a default rule and keep the rest of it", () => {
    const once = changeRule(ALICE, UNCHANGED, name(".m.rule.reaction"), { enabled: false });
    const twice = changeRule(ALICE, once, name(".m.rule.reaction"), { actions: ["notify"] });
    expect(findRule(ALICE, twice, name(".m.rule.reaction"))).toMatchObject({
      default: true,
      enabled: false,
      actions: ["notify"],
    });
    expect(twice.changed).toHaveLength(1);
  });

  test("find nothing where nothing is", () => {
    const missing = expect.objectContaining({ errcode: "M_NOT_FOUND" });
    expect(() => changeRule(ALICE, three, name("x"), { enabled: true })).toThrow(missing);
    expect(() => deleteRule(three, name("x"))).toThrow(missing);
    expect(ids(deleteRule(three, name("b")))).toEqual(["a", "c"]);
  });

  test("let nobody delete a default rule", () => {
    expect(() => deleteRule(three, name(".m.rule.master"))).toThrow(
      expect.objectContaining({ errcode: "M_INVALID_PARAM" }),
    );
  });
});
