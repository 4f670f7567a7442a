import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { cachedByUser } from "#src/streams/cached-by-user.ts";
import { write } from "#src/streams/write.ts";
import type { Ruleset } from "./push-rule.ts";
import { PUSH_RULES, pushRulesStream } from "./push-rules-stream.ts";
import { deletePushRules, rulesOfUsers } from "./queries-push-rules.ts";
import { knowsThreadRules, rulesetOf, UNCHANGED, type UserPushRules } from "./user-push-rules.ts";

/** Whose rules. */
export type Owner = { readonly userId: UserId; readonly userKey: number };

/** What a user has made of the default push rules; `UNCHANGED` itself if nothing. */
export const userPushRulesOf: (hs: Homeserver, userKey: number) => Promise<UserPushRules> =
  cachedByUser({
    most: 50_000,
    forgottenBy: (change) => change.stream === PUSH_RULES,
    load: async (hs, userKey) => (await rulesOfUsers(hs.sql, [userKey])).get(userKey) ?? UNCHANGED,
  });

/** All push rules of a user, as clients are shown them. */
export async function pushRulesOf(
  hs: Homeserver,
  { userId, userKey }: Owner,
): Promise<Partial<Ruleset>> {
  const rules = await userPushRulesOf(hs, userKey);
  const ruleset = rulesetOf(userId, rules);
  if (knowsThreadRules(rules)) return ruleset;
  const { postcontent: _, ...shown } = ruleset;
  return shown;
}

/**
 * Changes a user's push rules. Changes of one user are made one after the other, in whatever process.
 *
 * @throws whatever `change` throws, and M_TOO_LARGE.
 */
export async function changePushRules(
  hs: Homeserver,
  userKey: number,
  change: (rules: UserPushRules) => UserPushRules,
): Promise<void> {
  await write(hs, pushRulesStream, { userKey, change });
}

/** Forgets the push rules of a user whose account has ended. */
export async function forgetPushRules(hs: Homeserver, userKey: number): Promise<void> {
  await deletePushRules(hs.sql, userKey);
}
