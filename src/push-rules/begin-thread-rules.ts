import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { changePushRules, userPushRulesOf } from "./stored-push-rules.ts";
import { THREAD_RULES } from "./thread-rules.ts";
import { knowsThreadRules } from "./user-push-rules.ts";

/** Switches the rules on for a user who has not had them, nor switched any of them off. */
export async function beginThreadRules(hs: Homeserver, userKey: number): Promise<void> {
  if (knowsThreadRules(await userPushRulesOf(hs, userKey))) return;
  await changePushRules(hs, userKey, (rules) => {
    if (knowsThreadRules(rules)) return rules;
    const begun = THREAD_RULES.map(({ rule_id }) => ({ rule_id, enabled: true }));
    return { ...rules, changed: [...rules.changed, ...begun] };
  });
}
