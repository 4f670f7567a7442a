import { describe, expect, test } from "vitest";
import type { Body } from "../answers.ts";
import { homeserver, type Method, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const GLOBAL = "/v3/pushrules/global";
const notFound = refusal(404, "M_NOT_FOUND");
const put = async (name: string, body: object, query = "") =>
  await alice.call("PUT", `${GLOBAL}/${name}${query}`, body);
const get = async (name: string) => await alice.call("GET", `${GLOBAL}/${name}`);
const word = (pattern: string) => ({ actions: ["notify"], pattern });

/** @spec client-server-api#get_matrixclientv3pushrules */
describe("getPushRules", () => {
  test("begins with the rules that everybody has", async () => {
    const { body } = await (await hs.registerUser("new")).call("GET", "/v3/pushrules/");
    const ids = (body.global["override"] ?? []).map((it) => it.rule_id);
    expect(ids).toEqual(expect.arrayContaining([".m.rule.master", ".m.rule.invite_for_me"]));
    expect(Object.keys(body.global).toSorted()).toEqual([
      "content",
      "override",
      "room",
      "sender",
      "underride",
    ]);
  });
});

/** @spec client-server-api#get_matrixclientv3pushrulesglobal */
describe("getPushRulesGlobal", () => {
  test("answers with the same", async () => {
    const { body } = await alice.call("GET", "/v3/pushrules/");
    expect((await alice.call("GET", `${GLOBAL}/`)).body).toEqual(body.global);
  });
});

describe("getPushRulesOfKind", () => {
  test("answers with those of one kind", async () => {
    const { body } = await alice.call("GET", "/v3/pushrules/");
    expect((await alice.call("GET", `${GLOBAL}/override/`)).body).toEqual(body.global.override);
    expect(await alice.call("GET", `${GLOBAL}/none/`)).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });

  test("is known, as the others, with a slash at its end alone", async () => {
    for (const path of ["/v3/pushrules", GLOBAL, `${GLOBAL}/override`]) {
      expect(await alice.call("GET", path)).toMatchObject(refusal(404, "M_UNRECOGNIZED"));
    }
  });
});

/** @spec client-server-api#put_matrixclientv3pushrulesglobalkindruleid */
describe("setPushRule", () => {
  test("puts a rule in its place, and tells the user's clients", async () => {
    const since = (await alice.sync()).next_batch;
    expect(await put("content/one", word("one"))).toMatchObject({ status: 200, body: {} });
    await put("content/two", word("two"));
    await put("content/three", word("three"), "?before=&after=two");
    await put("content/four", word("four"), "?before=two");
    const rules = (await alice.call<Body["global"]>("GET", `${GLOBAL}/`)).body;
    const own = rules["content"]?.map((it) => it.rule_id).filter((it) => !it.startsWith("."));
    expect(own).toEqual(["four", "two", "three", "one"]);
    await alice.syncUntil(
      (it) => it.account_data?.events.some((event) => event.type === "m.push_rules") === true,
      since,
    );
  });

  test("refuses a kind that there is not, a name of the server's, and what is no rule", async () => {
    const refused: [string, object, number][] = [
      ["none/x", word("x"), 400],
      ["content/.m.own", word("x"), 400],
      ["content/x", { actions: ["notify"] }, 400],
      ["content/x", { actions: ["shout"], pattern: "x" }, 400],
      ["override/x", { actions: ["notify"], conditions: [{}] }, 400],
    ];
    for (const [name, body, status] of refused) {
      expect((await put(name, body)).status, name).toBe(status);
    }
    const nowhere = await put("content/x", word("x"), "?after=nothing");
    expect(nowhere.status).toBeOneOf([400, 404]);
    expect(await get("content/x")).toMatchObject(notFound);
  });
});

/** @spec client-server-api#get_matrixclientv3pushrulesglobalkindruleid */
describe("getPushRule", () => {
  test("answers with one rule", async () => {
    await put("content/here", word("here"));
    expect((await get("content/here")).body).toEqual({
      rule_id: "here",
      default: false,
      enabled: true,
      ...word("here"),
    });
    expect(await get("content/nothing")).toMatchObject(notFound);
  });
});

test("of a kind that there is not there are no rules", async () => {
  const calls: [Method, string, object?][] = [
    ["GET", ""],
    ["GET", "/enabled"],
    ["GET", "/actions"],
    ["PUT", "/enabled", { enabled: false }],
    ["PUT", "/actions", { actions: [] }],
    ["DELETE", ""],
  ];
  for (const [method, path, body] of calls) {
    const answer = await alice.call(method, `${GLOBAL}/nonsense/.m.rule${path}`, body);
    expect(answer, `${method} ${path}`).toMatchObject(notFound);
  }
});

/** @spec client-server-api#delete_matrixclientv3pushrulesglobalkindruleid */
describe("deletePushRule", () => {
  test("ends a rule of one's own, not one that everybody has", async () => {
    await put("content/gone", word("gone"));
    const path = `${GLOBAL}/content/gone`;
    expect(await alice.call("DELETE", path)).toMatchObject({ status: 200, body: {} });
    expect(await alice.call("DELETE", path)).toMatchObject(notFound);
    const master = await alice.call("DELETE", `${GLOBAL}/override/.m.rule.master`);
    expect(master.status).toBeOneOf([400, 404]);
    expect((await get("override/.m.rule.master")).status).toBe(200);
  });
});

const MASTER = "override/.m.rule.master";

/** @spec client-server-api#put_matrixclientv3pushrulesglobalkindruleidenabled */
describe("setPushRuleEnabled", () => {
  test("switches a rule on and off", async () => {
    for (const enabled of [true, false]) {
      expect((await put(`${MASTER}/enabled`, { enabled })).status).toBe(200);
      expect((await get(MASTER)).body.enabled).toBe(enabled);
    }
    expect(await put("content/nothing/enabled", { enabled: true })).toMatchObject(notFound);
  });
});

/** @spec client-server-api#get_matrixclientv3pushrulesglobalkindruleidenabled */
describe("isPushRuleEnabled", () => {
  test("says whether a rule is on", async () => {
    expect((await get(`${MASTER}/enabled`)).body).toEqual({ enabled: false });
    expect(await get("content/nothing/enabled")).toMatchObject(notFound);
  });
});

/** @spec client-server-api#put_matrixclientv3pushrulesglobalkindruleidactions */
describe("setPushRuleActions", () => {
  test("changes what a rule does", async () => {
    const actions = ["notify", { set_tweak: "sound", value: "ping" }];
    expect((await put("underride/.m.rule.message/actions", { actions })).status).toBe(200);
    expect((await get("underride/.m.rule.message")).body.actions).toEqual(actions);
    expect(await put("content/nothing/actions", { actions })).toMatchObject(notFound);
  });
});

/** @spec client-server-api#get_matrixclientv3pushrulesglobalkindruleidactions */
describe("getPushRuleActions", () => {
  test("says what a rule does", async () => {
    await put("content/acts", word("acts"));
    expect((await get("content/acts/actions")).body).toEqual({ actions: ["notify"] });
    expect(await get("content/nothing/actions")).toMatchObject(notFound);
  });
});
