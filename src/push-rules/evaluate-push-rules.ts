import type { Steps } from "#src/kit/steps.ts";
import { bodyMatches, holds, type PushContext, type PushEvent } from "./conditions.ts";
import {
  type Action,
  type PushRule,
  RULE_KINDS,
  type RuleKind,
  type Ruleset,
} from "./push-rule.ts";

/** What is to be done about an event. */
export type PushVerdict = {
  readonly notify: boolean;
  /** Whether the notification is to stand out; false where there is none. */
  readonly highlight: boolean;
  readonly actions: readonly Action[];
};

const NOTHING: PushVerdict = { notify: false, highlight: false, actions: [] };

/**
 * What a user's rules say of an event that somebody else has sent: what the most important rule that
 * matches says, and if none does, nothing. Who has sent it themselves is never notified; the caller sees
 * to that. Each rule is a step: one may look for a long pattern in a long text.
 *
 * @spec client-server-api#push-rules
 */
export function* pushRuleSteps(
  rules: Ruleset,
  event: PushEvent,
  context: PushContext,
): Steps<PushVerdict> {
  for (const kind of RULE_KINDS) {
    for (const rule of rules[kind]) {
      if (!rule.enabled) continue;
      if (matches(kind, rule, event, context)) return verdictOf(rule.actions);
      yield;
    }
  }
  return NOTHING;
}

function matches(kind: RuleKind, rule: PushRule, event: PushEvent, context: PushContext): boolean {
  switch (kind) {
    case "override":
    case "postcontent":
    case "underride":
      return (rule.conditions ?? []).every((it) => holds(it, event, context));
    case "content":
      return rule.pattern !== undefined && bodyMatches(rule.pattern, event);
    case "room":
      return rule.rule_id === event.room_id;
    case "sender":
      return rule.rule_id === event.sender;
    default:
      return kind satisfies never;
  }
}

function verdictOf(actions: readonly Action[]): PushVerdict {
  const notify = notifies(actions);
  return { notify, highlight: notify && isHighlighted(actions), actions };
}

/**
 * Whether actions notify. Those of history, `dont_notify` and `coalesce`, say nothing; clients that still set them
 * look for them when they come to take them back, and so they are kept.
 *
 * @spec client-server-api#historical-actions
 */
export function notifies(actions: readonly Action[]): boolean {
  return actions.includes("notify");
}

/** A highlight without a value is one. @spec client-server-api#actions */
export function isHighlighted(actions: readonly Action[]): boolean {
  return actions.some(
    (it) =>
      typeof it === "object" &&
      it.set_tweak === "highlight" &&
      (it.value === undefined || it.value === true),
  );
}
