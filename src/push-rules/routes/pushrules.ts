import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { changeRule, deleteRule, findRule, putRule, type RuleName } from "../change-push-rules.ts";
import { isRuleKind, type PushRule } from "../push-rule.ts";
import { changePushRules, pushRulesOf, userPushRulesOf } from "../stored-push-rules.ts";

/** A word is `notify`, one of those that are no longer used, or an extension's with a dot in its name. */
const Action = z.union([
  z.string().regex(/^(?:notify|dont_notify|coalesce)$|\./, "Not an action"),
  z.looseObject({ set_tweak: z.string() }),
]);
const Condition = z.looseObject({
  kind: z.string(),
  key: z.string().optional(),
  pattern: z.string().optional(),
  is: z.string().optional(),
});
const Rule = z.object({
  actions: z.array(Action),
  conditions: z.array(Condition).optional(),
  pattern: z.string().optional(),
});

const RULE = "/_matrix/client/v3/pushrules/global/:kind/:ruleId";

/** The specification's `pushrules.yaml`. */
export const pushRulesEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getPushRules",
    method: "GET",
    guests: true,
    path: "/_matrix/client/v3/pushrules/",
    handle: async (hs, { requester }) => ({ global: await pushRulesOf(hs, requester) }),
  }),
  userEndpoint({
    operation: "getPushRulesGlobal",
    method: "GET",
    path: "/_matrix/client/v3/pushrules/global/",
    handle: async (hs, { requester }) => await pushRulesOf(hs, requester),
  }),
  userEndpoint({
    operation: "getPushRulesOfKind",
    method: "GET",
    path: "/_matrix/client/v3/pushrules/global/:kind/",
    async handle(hs, { requester, params }) {
      const { kind = "" } = params;
      if (!isRuleKind(kind)) throw noSuchKind();
      return (await pushRulesOf(hs, requester))[kind];
    },
  }),
  userEndpoint({
    operation: "getPushRule",
    method: "GET",
    path: RULE,
    handle: async (hs, { requester, params }) => await ruleOf(hs, requester, params),
  }),
  userEndpoint({
    operation: "setPushRule",
    method: "PUT",
    path: RULE,
    body: Rule,
    async handle(hs, { requester, params, query, body }) {
      const { kind = "", ruleId = "" } = params;
      if (!isRuleKind(kind) || kind === "postcontent") throw noSuchKind();
      const place = {
        before: query.get("before") || undefined,
        after: query.get("after") || undefined,
      };
      await changePushRules(hs, requester.userKey, (rules) =>
        putRule(rules, { kind, ruleId }, body, place),
      );
      return {};
    },
  }),
  userEndpoint({
    operation: "deletePushRule",
    method: "DELETE",
    path: RULE,
    async handle(hs, { requester, params }) {
      const name = nameOf(params);
      await changePushRules(hs, requester.userKey, (rules) => deleteRule(rules, name));
      return {};
    },
  }),
  userEndpoint({
    operation: "isPushRuleEnabled",
    method: "GET",
    path: `${RULE}/enabled`,
    handle: async (hs, { requester, params }) => {
      const { enabled } = await ruleOf(hs, requester, params);
      return { enabled };
    },
  }),
  userEndpoint({
    operation: "setPushRuleEnabled",
    method: "PUT",
    path: `${RULE}/enabled`,
    body: z.object({ enabled: z.boolean() }),
    handle: async (hs, { requester, params, body }) => await change(hs, requester, params, body),
  }),
  userEndpoint({
    operation: "getPushRuleActions",
    method: "GET",
    path: `${RULE}/actions`,
    handle: async (hs, { requester, params }) => {
      const { actions } = await ruleOf(hs, requester, params);
      return { actions };
    },
  }),
  userEndpoint({
    operation: "setPushRuleActions",
    method: "PUT",
    path: `${RULE}/actions`,
    body: z.object({ actions: z.array(Action) }),
    handle: async (hs, { requester, params, body }) => await change(hs, requester, params, body),
  }),
];

type Params = Readonly<Record<string, string>>;

/** @throws MatrixError M_NOT_FOUND: of a kind that there is not there are no rules. */
function nameOf({ kind = "", ruleId = "" }: Params): RuleName {
  if (!isRuleKind(kind)) throw new MatrixError("M_NOT_FOUND", "The push rule was not found");
  return { kind, ruleId };
}

async function ruleOf(hs: Homeserver, requester: Requester, params: Params): Promise<PushRule> {
  const rules = await userPushRulesOf(hs, requester.userKey);
  return findRule(requester.userId, rules, nameOf(params));
}

async function change(
  hs: Homeserver,
  { userId, userKey }: Requester,
  params: Params,
  its: Parameters<typeof changeRule>[3],
): Promise<object> {
  const name = nameOf(params);
  await changePushRules(hs, userKey, (rules) => changeRule(userId, rules, name, its));
  return {};
}

function noSuchKind(): MatrixError {
  return new MatrixError("M_INVALID_PARAM", "There is no such kind of push rules");
}
