/** The kinds of push rules, in the order in which they are tried. @spec client-server-api#push-rules */
export const RULE_KINDS = [
  "override",
  "content",
  // Of MSC4306: only for the server's own rules.
  "postcontent",
  "room",
  "sender",
  "underride",
] as const;

export type RuleKind = (typeof RULE_KINDS)[number];

/** What is done about an event: `notify`, a tweak of the notification, or what a client's extension knows. */
export type Action = string | { readonly set_tweak: string; readonly value?: unknown };

/** What must hold of an event. Kinds that we do not know are kept, and hold of nothing. */
export type Condition = {
  readonly kind: string;
  readonly key?: string | undefined;
  readonly pattern?: string | undefined;
  readonly is?: string | undefined;
  readonly value?: unknown;
  readonly subscribed?: boolean | undefined;
};

export type PushRule = {
  readonly rule_id: string;
  readonly default: boolean;
  readonly enabled: boolean;
  readonly actions: readonly Action[];
  /** Of `override`, `postcontent` and `underride` rules. */
  readonly conditions?: readonly Condition[];
  /** Of `content` rules. */
  readonly pattern?: string;
};

/** All rules of a user, each kind with the most important first. */
export type Ruleset = Readonly<Record<RuleKind, readonly PushRule[]>>;

export function isRuleKind(kind: string): kind is RuleKind {
  return (RULE_KINDS as readonly string[]).includes(kind);
}
