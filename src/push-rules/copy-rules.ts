import type { RoomId } from "#src/kit/identifiers.ts";
import type { AddedRule, UserPushRules } from "./user-push-rules.ts";

/**
 * A user's rules, with those about one room said of another too: the room's own, and those that ask for it by a
 * condition. The same object if there is nothing to copy.
 */
export function copyRulesOfRoom(
  rules: UserPushRules,
  { from, to }: { readonly from: RoomId; readonly to: RoomId },
): UserPushRules {
  const { room = [], override = [], underride = [] } = rules.added;
  const copied = {
    room: withCopies(room, (it) => (it.rule_id === from ? { ...it, rule_id: to } : undefined)),
    override: withCopies(override, (it) => ofOtherRoom(it, { from, to })),
    underride: withCopies(underride, (it) => ofOtherRoom(it, { from, to })),
  };
  const isSame =
    copied.room === room && copied.override === override && copied.underride === underride;
  return isSame ? rules : { ...rules, added: { ...rules.added, ...copied } };
}

function withCopies(
  rules: readonly AddedRule[],
  copyOf: (rule: AddedRule) => AddedRule | undefined,
): readonly AddedRule[] {
  const known = new Set(rules.map((it) => it.rule_id));
  const copies = rules.flatMap((it) => copyOf(it) ?? []).filter((it) => !known.has(it.rule_id));
  return copies.length === 0 ? rules : [...copies, ...rules];
}

function ofOtherRoom(
  rule: AddedRule,
  { from, to }: { readonly from: RoomId; readonly to: RoomId },
): AddedRule | undefined {
  const { conditions = [] } = rule;
  const isOf = (it: (typeof conditions)[number]) =>
    it.kind === "event_match" && it.key === "room_id" && it.pattern === from;
  if (!conditions.some(isOf)) return undefined;
  const id = rule.rule_id.includes(from)
    ? rule.rule_id.replaceAll(from, to)
    : `${rule.rule_id}-${to}`;
  return {
    ...rule,
    rule_id: id,
    conditions: conditions.map((it) => (isOf(it) ? { ...it, pattern: to } : it)),
  };
}
