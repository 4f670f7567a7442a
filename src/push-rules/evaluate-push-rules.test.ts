import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import { mentionsOf } from "#src/events/mentions.ts";
import { runSteps } from "#src/kit/steps.ts";
import { holds, type PushContext, type PushEvent } from "./conditions.ts";
import { pushRuleSteps } from "./evaluate-push-rules.ts";
import type { Condition, PushRule } from "./push-rule.ts";
import { rulesetOf, UNCHANGED } from "./user-push-rules.ts";

const ALICE = "@alice:hs";
const verdictOf = (...its: Parameters<typeof pushRuleSteps>) => runSteps(pushRuleSteps(...its));
const context: PushContext = { memberCount: 3, senderMayNotify: () => true };
const event = (fields: Partial<PushEvent> = {}): PushEvent => ({
  type: "m.room.message",
  sender: "@bob:hs",
  room_id: "!room",
  content: { body: "Lunch plans", msgtype: "m.text" },
  ...fields,
});
const defaults = rulesetOf(ALICE, UNCHANGED);

describe("conditions", () => {
  const is = (condition: Condition, it = event(), its = context) => holds(condition, it, its);
  const topic = (value: unknown) => event({ content: { topic: value } });
  const match = (pattern: string) => ({ kind: "event_match", key: "content.topic", pattern });

  test.each([
    ["Lunch plans", "lunc?*", true],
    ["LUNCH", "lunc?*", true],
    [" lunch", "lunc?*", false],
    ["lunc", "lunc?*", false],
    [null, "*", false],
    [undefined, "*", false],
    ["", "", true],
  ])("event_match of %j with %j: %s", (value, pattern, expected) => {
    expect(is(match(pattern), topic(value))).toBe(expected);
  });

  test("event_match looks at whole words of the body", () => {
    const body = (pattern: string) => ({ kind: "event_match", key: "content.body", pattern });
    expect(is(body("plans"))).toBe(true);
    expect(is(body("plan"))).toBe(false);
  });

  test("event_property_is casts nothing", () => {
    const federate = (value: unknown) => event({ content: { "m.federate": value } });
    const condition = {
      kind: "event_property_is",
      key: String.raw`content.m\.federate`,
      value: true,
    };
    expect(is(condition, federate(true))).toBe(true);
    expect(is(condition, federate("true"))).toBe(false);
    expect(is(condition, federate(1))).toBe(false);
    expect(is({ ...condition, value: {} }, federate({}))).toBe(false);
  });

  test("event_property_contains wants the whole value", () => {
    const aliases = event({ content: { alt_aliases: ["#a:hs", 7, null] } });
    const contains = (value: unknown) => ({
      kind: "event_property_contains",
      key: "content.alt_aliases",
      value,
    });
    expect(is(contains("#a:hs"), aliases)).toBe(true);
    expect(is(contains(null), aliases)).toBe(true);
    expect(is(contains(":hs"), aliases)).toBe(false);
    expect(is(contains("#a:hs"), topic("#a:hs"))).toBe(false);
  });

  test.each([
    ["3", true],
    ["==3", true],
    [">2", true],
    ["<3", false],
    ["<=3", true],
    [">=4", false],
    ["three", false],
  ])("room_member_count of three is %s: %s", (count, expected) => {
    expect(is({ kind: "room_member_count", is: count })).toBe(expected);
  });

  test("contains_display_name takes the name as it is", () => {
    const named = { ...context, displayName: "pl?ns" };
    expect(is({ kind: "contains_display_name" }, event(), named)).toBe(false);
    expect(
      is({ kind: "contains_display_name" }, event(), { ...context, displayName: "LUNCH" }),
    ).toBe(true);
  });

  test("hold of nothing if they are not known, or lack what they need", () => {
    expect(is({ kind: "org.example.other" })).toBe(false);
    expect(is({ kind: "event_match", key: "content.body" })).toBe(false);
    expect(is({ kind: "sender_notification_permission" })).toBe(false);
  });
});

describe("pushRuleSteps", () => {
  const rule = (rule_id: string, its: Partial<PushRule>): PushRule => ({
    rule_id,
    default: false,
    enabled: true,
    actions: [],
    ...its,
  });

  test("notifies with a highlight whom an event mentions", () => {
    const mention = event({ content: { body: "you", "m.mentions": { user_ids: [ALICE] } } });
    expect(verdictOf(defaults, mention, context)).toMatchObject({
      notify: true,
      highlight: true,
    });
  });

  test("heeds whether the sender may notify the room", () => {
    const all = event({ content: { body: "all", "m.mentions": { room: true } } });
    const may = (it: boolean) => ({ ...context, senderMayNotify: () => it });
    expect(verdictOf(defaults, all, may(true)).highlight).toBe(true);
    expect(verdictOf(defaults, all, may(false)).highlight).toBe(false);
  });

  test("tries the user's rules before the default ones, and the kinds in their order", () => {
    const notified = { actions: ["notify"] };
    const silenced = { ...defaults, room: [rule("!room", {})] };
    expect(verdictOf(silenced, event(), context).notify).toBe(false);
    const keyword = { ...silenced, content: [rule("k", { pattern: "lunch", ...notified })] };
    expect(verdictOf(keyword, event(), context).notify).toBe(true);
    const sender = { ...defaults, sender: [rule("@bob:hs", {})] };
    expect(verdictOf(sender, event(), context).notify).toBe(false);
  });

  test("can be left after each rule, and looks at none after the one that matches", () => {
    const words = ["one", "two", "lunch", "four"].map((it) => rule(it, { pattern: it }));
    const steps = pushRuleSteps({ ...defaults, override: [], content: words }, event(), context);
    expect([...steps]).toHaveLength(2);
  });

  test("passes over what is disabled, and stops all with the master rule", () => {
    const off = { ...defaults, room: [rule("!room", { enabled: false })] };
    expect(verdictOf(off, event(), context).notify).toBe(true);
    const master = rulesetOf(ALICE, {
      added: {
        override: [{ rule_id: "mine", enabled: true, actions: ["notify"], conditions: [] }],
      },
      changed: [{ rule_id: ".m.rule.master", enabled: true }],
    });
    expect(verdictOf(master, event(), context)).toEqual({
      notify: false,
      highlight: false,
      actions: [],
    });
  });
});

/** The counters of unread events rest on these: see `src/push/unread-counts.ts`. */
describe("the default rules, by counters", () => {
  const events = fc.record(
    {
      type: fc.constantFrom(
        "m.room.message",
        "M.Room.Message",
        "m.room.encrypted",
        "m.room.member",
        "m.room.tombstone",
        "m.room.server_acl",
        "m.reaction",
        "m.call.invite",
        "org.matrix.msc3381.poll.start",
        "org.matrix.msc3381.poll.response",
        "m.room.name",
      ),
      sender: fc.constant("@bob:hs"),
      room_id: fc.constant("!room"),
      state_key: fc.constantFrom(undefined, "", "@carol:hs"),
      content: fc.record(
        {
          msgtype: fc.constantFrom("m.text", "m.notice", "M.NOTICE", 7),
          "m.relates_to": fc.constantFrom(
            { rel_type: "m.replace" },
            { rel_type: "m.thread" },
            null,
          ),
          "m.mentions": fc.constantFrom(
            { user_ids: [ALICE] },
            { user_ids: ["@carol:hs", 7] },
            { room: true },
            { room: "true" },
            { user_ids: [ALICE], room: true },
          ),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ["type", "sender", "room_id", "content"] },
  );

  test("notify where an event counts as unread or is a highlight, and highlight where it is one", () => {
    fc.assert(
      fc.property(events, fc.boolean(), (it, senderMayNotifyRoom) => {
        const plain = it as Parameters<typeof countsAsUnread>[0];
        const mentions = mentionsOf(plain, { senderMayNotifyRoom });
        const highlight = mentions.room || mentions.users.includes(ALICE);
        const verdict = verdictOf(defaults, it as PushEvent, {
          memberCount: 2,
          senderMayNotify: () => senderMayNotifyRoom,
        });
        expect(verdict.highlight).toBe(highlight);
        expect(verdict.notify).toBe(highlight || countsAsUnread(plain));
      }),
      { numRuns: 1_000 },
    );
  });
});
