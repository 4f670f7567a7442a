import { defaultRules, MASTER } from "#src/push-rules/default-rules.ts";
import { isHighlighted, notifies } from "#src/push-rules/evaluate-push-rules.ts";
import type { Condition, PushRule, RuleKind } from "#src/push-rules/push-rule.ts";
import { RULE_KINDS } from "#src/push-rules/push-rule.ts";
import { type AddedRule, UNCHANGED, type UserPushRules } from "#src/push-rules/user-push-rules.ts";

/**
 * How what a user has not read in a room can be counted: by the counters of the default rules; not at
 * all, where nothing notifies; by the highlights alone; or by trying the rules on each event.
 */
export type CountingMode = "counters" | "silent" | "highlights" | "rules";

/**
 * The cheapest way to count that comes to what a user's rules say of the events of a room. Most who
 * change their rules mute rooms or want mentions only, and for the other rooms nothing is changed.
 */
export function countingMode(rules: UserPushRules, roomId: string): CountingMode {
  if (rules === UNCHANGED) return "counters";
  if (rules.changed.some((it) => it.rule_id === MASTER.rule_id && it.enabled === true)) {
    return isSilent(rules.changed.find((it) => it.rule_id === MASTER.rule_id)) ? "silent" : "rules";
  }
  const relevant = RULE_KINDS.flatMap((kind) =>
    (rules.added[kind] ?? [])
      .filter((it) => mayMatch(kind, it, roomId))
      .map((it) => ({ kind, it })),
  );
  const [first] = relevant;
  if (first && mutes(first.kind, first.it)) return "silent";
  if (changesVerdicts(rules)) return "rules";
  if (!first) return "counters";
  const only = relevant.length === 1;
  return only && first.kind === "room" && isSilent(first.it) ? "highlights" : "rules";
}

/** Whether a rule could ever match an event of the room. */
function mayMatch(kind: RuleKind, rule: AddedRule, roomId: string): boolean {
  if (!rule.enabled) return false;
  if (kind === "room") return rule.rule_id === roomId;
  return (rule.conditions ?? []).every((it) => {
    const pattern = literalRoom(it);
    return pattern === undefined || pattern === roomId.toLowerCase();
  });
}

/** The one room of which a condition can hold, if it says so plainly; folded, as it is compared. */
function literalRoom({ kind, key, pattern }: Condition): string | undefined {
  const isPlain = kind === "event_match" && key === "room_id" && pattern !== undefined;
  return isPlain && !/[*?]/.test(pattern) ? pattern.toLowerCase() : undefined;
}

/** Whether an override silences all events of the rooms it may match in. */
function mutes(kind: RuleKind, rule: AddedRule): boolean {
  const isPlain = (rule.conditions ?? []).every((it) => literalRoom(it) !== undefined);
  return kind === "override" && isPlain && isSilent(rule);
}

function isSilent(rule: { readonly actions?: PushRule["actions"] } | undefined): boolean {
  return !rule?.actions || !notifies(rule.actions);
}

/** Whether what a user has changed of the default rules is more than how a notification sounds. */
function changesVerdicts({ changed }: UserPushRules): boolean {
  return changed.some(({ rule_id, enabled, actions }) => {
    const rule = defaults.get(rule_id);
    if (!rule) return false;
    if (enabled !== undefined && enabled !== rule.enabled) return true;
    return (
      actions !== undefined &&
      (notifies(actions) !== notifies(rule.actions) ||
        isHighlighted(actions) !== isHighlighted(rule.actions))
    );
  });
}

/** Whom they are made for does not matter here. */
const defaults: ReadonlyMap<string, PushRule> = new Map(
  [MASTER, ...Object.values(defaultRules("@:")).flat()].map((it) => [it.rule_id, it]),
);
