import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const SET = "/v3/pushers/set";

const pusher = (its: object = {}) => ({
  kind: "http",
  app_id: "org.example.app",
  pushkey: "a key",
  app_display_name: "Example",
  device_display_name: "Phone",
  profile_tag: "tag",
  lang: "en",
  data: { url: "https://push.example.org/_matrix/push/v1/notify", custom: 5 },
  ...its,
});

/** @spec client-server-api#get_matrixclientv3pushers */
describe("getPushers", () => {
  test("lists what the user has set, and nobody else", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    await alice.call("POST", SET, pusher());
    const { body } = await alice.call("GET", "/v3/pushers");
    expect(body.pushers).toMatchObject([pusher()]);
    expect(body.pushers[0]?.["org.matrix.msc3881.device_id"]).toBe(alice.deviceId);
    expect((await bob.call("GET", "/v3/pushers")).body).toEqual({ pushers: [] });
  });

  test("lists none of a device that has logged out", async () => {
    const alice = await hs.registerUser("alice");
    const login = await hs.request("POST", "/v3/login", {
      body: {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: alice.userId },
        password: alice.password,
      },
    });
    await hs.request("POST", SET, { token: login.body.access_token, body: pusher() });
    expect((await alice.call("GET", "/v3/pushers")).body.pushers).toHaveLength(1);
    await hs.request("POST", "/v3/logout", { token: login.body.access_token, body: {} });
    expect((await alice.call("GET", "/v3/pushers")).body.pushers).toEqual([]);
  });
});

/** @spec client-server-api#post_matrixclientv3pushersset */
describe("postPusher", () => {
  test("makes, changes and deletes", async () => {
    const alice = await hs.registerUser("alice");
    const list = async () => (await alice.call("GET", "/v3/pushers")).body.pushers;
    expect(await alice.call("POST", SET, pusher())).toMatchObject({ status: 200, body: {} });
    await alice.call("POST", SET, pusher({ lang: "fi" }));
    expect(await list()).toMatchObject([{ lang: "fi" }]);
    await alice.call("POST", SET, pusher({ pushkey: "another" }));
    expect(await list()).toHaveLength(2);
    const gone = { kind: null, app_id: "org.example.app", pushkey: "a key" };
    expect(await alice.call("POST", SET, gone)).toMatchObject({ status: 200, body: {} });
    expect(await list()).toMatchObject([{ pushkey: "another" }]);
  });

  test("takes a pushkey from others, unless it is to be added", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    const count = async () => (await alice.call("GET", "/v3/pushers")).body.pushers.length;
    const shared = { pushkey: alice.userId };
    await alice.call("POST", SET, pusher(shared));
    await bob.call("POST", SET, pusher({ ...shared, append: true }));
    expect(await count()).toBe(1);
    await bob.call("POST", SET, pusher(shared));
    expect(await count()).toBe(0);
  });

  // MSC3881: so one device silences another.
  test("leaves a pusher that another device switches off to the one that has it", async () => {
    const alice = await hs.registerUser("alice");
    const identifier = { type: "m.id.user", user: alice.userId };
    const login = { type: "m.login.password", identifier, password: alice.password };
    const { body: web } = await hs.request("POST", "/v3/login", { body: login });
    await alice.call("POST", SET, pusher());
    const off = pusher({ "org.matrix.msc3881.enabled": false });
    await hs.request("POST", SET, { token: web.access_token, body: off });
    const list = async () => (await alice.call("GET", "/v3/pushers")).body.pushers;
    const silenced = {
      "org.matrix.msc3881.enabled": false,
      "org.matrix.msc3881.device_id": alice.deviceId,
    };
    expect(await list()).toMatchObject([silenced]);
    await hs.request("POST", "/v3/logout", { token: web.access_token, body: {} });
    expect(await list()).toMatchObject([silenced]);
  });

  test("refuses what is none", async () => {
    const alice = await hs.registerUser("alice");
    const { lang: _, data: _data, ...bare } = pusher();
    const missing = await alice.call("POST", SET, bare);
    expect(missing).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    expect(missing.body.error).toContain("lang, data");
    const url = (it: string) => ({ data: { url: it } });
    const refused = [
      { kind: "pigeon" },
      { data: {} },
      url("nowhere"),
      url("https://push.example.org/elsewhere"),
      url("ftp://push.example.org/_matrix/push/v1/notify"),
      url("http://push.example.org/_matrix/push/v1/notify"),
      { app_id: "" },
      { app_id: "x".repeat(65) },
      { pushkey: "x".repeat(513) },
      { lang: 5 },
    ];
    for (const its of refused) {
      const answer = await alice.call("POST", SET, pusher(its));
      expect(answer.status, JSON.stringify(its)).toBe(400);
    }
    expect((await alice.call("GET", "/v3/pushers")).body.pushers).toEqual([]);
  });
});
