import type { PushRule } from "./push-rule.ts";
import { THREAD_CONDITION } from "./thread-condition.ts";

/**
 * The rules by which what is said in threads notifies those who have subscribed to them and nobody else (MSC4306). They are
 * switched on for a user who subscribes for the first time: others are told of all threads, as the specification has it.
 */
export const THREAD_RULES: readonly PushRule[] = [
  {
    rule_id: ".io.element.msc4306.rule.unsubscribed_thread",
    default: true,
    enabled: false,
    conditions: [{ kind: THREAD_CONDITION, subscribed: false }],
    actions: [],
  },
  {
    rule_id: ".io.element.msc4306.rule.subscribed_thread",
    default: true,
    enabled: false,
    conditions: [{ kind: THREAD_CONDITION, subscribed: true }],
    actions: ["notify", { set_tweak: "sound", value: "default" }],
  },
];
