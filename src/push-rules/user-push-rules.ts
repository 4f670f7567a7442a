import type { UserId } from "#src/kit/identifiers.ts";
import { defaultRules, MASTER } from "./default-rules.ts";
import {
  type Action,
  type PushRule,
  RULE_KINDS,
  type RuleKind,
  type Ruleset,
} from "./push-rule.ts";
import { THREAD_RULES } from "./thread-rules.ts";

/** A rule that a user has added. */
export type AddedRule = Omit<PushRule, "default">;

/** What a user has changed of a default rule. */
export type ChangedRule = {
  readonly rule_id: string;
  readonly enabled?: boolean;
  readonly actions?: readonly Action[];
};

/**
 * What is stored of a user's push rules: only what differs from the default, so that a new default rule
 * is everybody's at once.
 */
export type UserPushRules = {
  /** The most important first. */
  readonly added: Readonly<Partial<Record<RuleKind, readonly AddedRule[]>>>;
  readonly changed: readonly ChangedRule[];
};

/** The rules of a user who has changed nothing. */
export const UNCHANGED: UserPushRules = { added: {}, changed: [] };

/**
 * All rules that hold for a user: their own before the default ones, but for `.m.rule.master`, which is
 * before all.
 *
 * @spec client-server-api#predefined-rules
 */
export function rulesetOf(userId: UserId, { added, changed }: UserPushRules): Ruleset {
  const changes = new Map(changed.map((it) => [it.rule_id, it]));
  const withChange = (rule: PushRule): PushRule => ({ ...rule, ...changes.get(rule.rule_id) });
  const defaults = defaultRules(userId);
  const kinds = RULE_KINDS.map((kind): [RuleKind, PushRule[]] => {
    const own = (added[kind] ?? []).map((it) => ({ ...it, default: false }));
    const top = kind === "override" ? [withChange(MASTER)] : [];
    return [kind, [...top, ...own, ...defaults[kind].map(withChange)]];
  });
  return Object.fromEntries(kinds) as unknown as Ruleset;
}

const THREAD_RULE_IDS: ReadonlySet<string> = new Set(THREAD_RULES.map((it) => it.rule_id));

/** Whether a user has anything to do with the rules about threads: then they are shown, too. */
export function knowsThreadRules({ changed }: UserPushRules): boolean {
  return changed.some((it) => THREAD_RULE_IDS.has(it.rule_id));
}
