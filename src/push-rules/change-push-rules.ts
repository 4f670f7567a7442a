import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Action, Condition, PushRule, RuleKind } from "./push-rule.ts";
import { type AddedRule, rulesetOf, type UserPushRules } from "./user-push-rules.ts";

/** The most rules that a user may add to a kind. */
const MOST_RULES = 2_000;

/** The most conditions of a rule, and the most characters of what one names. */
const MOST_CONDITIONS = 20;
const MOST_CHARACTERS = 255;

/**
 * The most patterns of a user that are looked for in what events say, and the most characters of all of
 * them: all have to be looked for in each event, and events may be long.
 */
const MOST_PATTERNS = 200;
const MOST_PATTERN_CHARACTERS = 4_000;

/** Which rule is meant. */
export type RuleName = { readonly kind: RuleKind; readonly ruleId: string };

/** What a client says of a rule that it adds or replaces. */
export type RuleDraft = {
  readonly actions: readonly Action[];
  readonly conditions?: readonly Condition[] | undefined;
  readonly pattern?: string | undefined;
};

/** Where a rule is to stand among the user's own of its kind. */
export type Place = { readonly before?: string | undefined; readonly after?: string | undefined };

/** @throws MatrixError M_NOT_FOUND */
export function findRule(
  userId: UserId,
  rules: UserPushRules,
  { kind, ruleId }: RuleName,
): PushRule {
  const found = rulesetOf(userId, rules)[kind].find((it) => it.rule_id === ruleId);
  if (!found) throw new MatrixError("M_NOT_FOUND", "The push rule was not found");
  return found;
}

/**
 * Adds a rule, or replaces the user's rule of the same kind and ID. A new one is enabled, and the most
 * important of its kind if nothing is said of its place; a replaced one stays as and where it is.
 *
 * @throws MatrixError M_INVALID_PARAM for an ID that users may not choose; M_MISSING_PARAM for a
 *   `content` rule without a pattern; M_UNKNOWN if the rule beside which it is to stand is not there;
 *   M_TOO_LARGE for too much of anything.
 * @spec client-server-api#put_matrixclientv3pushrulesglobalkindruleid
 */
export function putRule(
  rules: UserPushRules,
  { kind, ruleId }: RuleName,
  draft: RuleDraft,
  place: Place = {},
): UserPushRules {
  if (ruleId === "" || /^\.|[/\\]/.test(ruleId)) {
    throw new MatrixError(
      "M_INVALID_PARAM",
      "Rule IDs must not begin with a dot or contain slashes",
    );
  }
  const own = rules.added[kind] ?? [];
  const at = own.findIndex((it) => it.rule_id === ruleId);
  const rule = ruleOf(kind, ruleId, draft, own[at]?.enabled ?? true);
  const others = own.filter((it) => it.rule_id !== ruleId);
  if (others.length >= MOST_RULES) {
    throw new MatrixError("M_TOO_LARGE", `You have more than ${MOST_RULES} push rules`);
  }
  const index = indexFor(others, place) ?? Math.max(at, 0);
  const changed = withAdded(rules, kind, others.toSpliced(index, 0, rule));
  requireFewPatterns(changed);
  return changed;
}

function requireFewPatterns({ added }: UserPushRules): void {
  const patterns = Object.values(added).flat().flatMap(textPatterns);
  const characters = patterns.reduce((sum, it) => sum + it.length, 0);
  if (patterns.length > MOST_PATTERNS || characters > MOST_PATTERN_CHARACTERS) {
    throw new MatrixError("M_TOO_LARGE", "Your push rules have too many patterns");
  }
}

/** What a rule looks for in the content of events. */
function textPatterns({ pattern, conditions = [] }: AddedRule): string[] {
  const inContent = conditions.flatMap((it) => {
    const isMatch = it.kind === "event_match" && it.key?.startsWith("content.");
    return isMatch || it.kind === "contains_display_name" ? [it.pattern ?? ""] : [];
  });
  return pattern === undefined ? inContent : [...inContent, pattern];
}

function ruleOf(kind: RuleKind, rule_id: string, draft: RuleDraft, enabled: boolean): AddedRule {
  requireModest(draft);
  const common = { rule_id, enabled, actions: draft.actions };
  if (kind === "override" || kind === "underride") {
    return { ...common, conditions: draft.conditions ?? [] };
  }
  if (kind !== "content") return common;
  if (draft.pattern === undefined) {
    throw new MatrixError("M_MISSING_PARAM", "A content rule needs a pattern");
  }
  return { ...common, pattern: draft.pattern };
}

function requireModest({ conditions = [], pattern }: RuleDraft): void {
  const texts = [pattern, ...conditions.flatMap((it) => [it.key, it.pattern])];
  const isLong = texts.some((it) => it !== undefined && it.length > MOST_CHARACTERS);
  if (isLong || conditions.length > MOST_CONDITIONS) {
    throw new MatrixError(
      "M_TOO_LARGE",
      `A rule has at most ${MOST_CONDITIONS} conditions, with keys and patterns of ${MOST_CHARACTERS} characters`,
    );
  }
}

/** Undefined if nothing is said of the place. */
function indexFor(others: readonly AddedRule[], { before, after }: Place): number | undefined {
  const neighbour = before ?? after;
  if (neighbour === undefined) return undefined;
  const at = others.findIndex((it) => it.rule_id === neighbour);
  if (at < 0) {
    throw new MatrixError("M_UNKNOWN", "The rule given as before or after was not found", {
      status: 400,
    });
  }
  return before === undefined ? at + 1 : at;
}

/**
 * @throws MatrixError M_NOT_FOUND; M_INVALID_PARAM for a default rule, which can only be disabled.
 * @spec client-server-api#delete_matrixclientv3pushrulesglobalkindruleid
 */
export function deleteRule(rules: UserPushRules, { kind, ruleId }: RuleName): UserPushRules {
  if (ruleId.startsWith(".")) {
    throw new MatrixError("M_INVALID_PARAM", "Default rules cannot be deleted");
  }
  const own = rules.added[kind] ?? [];
  const others = own.filter((it) => it.rule_id !== ruleId);
  if (others.length === own.length) {
    throw new MatrixError("M_NOT_FOUND", "The push rule was not found");
  }
  return withAdded(rules, kind, others);
}

/**
 * Changes a rule, one of the user's own or a default one.
 *
 * @throws MatrixError M_NOT_FOUND
 */
export function changeRule(
  userId: UserId,
  rules: UserPushRules,
  name: RuleName,
  change: { readonly enabled?: boolean; readonly actions?: readonly Action[] },
): UserPushRules {
  const rule = findRule(userId, rules, name);
  if (!rule.default) {
    const own = rules.added[name.kind] ?? [];
    return withAdded(
      rules,
      name.kind,
      own.map((it) => (it.rule_id === name.ruleId ? { ...it, ...change } : it)),
    );
  }
  const known = rules.changed.find((it) => it.rule_id === name.ruleId);
  const others = rules.changed.filter((it) => it.rule_id !== name.ruleId);
  return { ...rules, changed: [...others, { ...known, rule_id: name.ruleId, ...change }] };
}

function withAdded(
  rules: UserPushRules,
  kind: RuleKind,
  added: readonly AddedRule[],
): UserPushRules {
  return { ...rules, added: { ...rules.added, [kind]: added } };
}
