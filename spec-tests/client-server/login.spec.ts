import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const logIn = async (body: object) => await hs.request("POST", "/v3/login", { body });
const passwordOf = ({ userId, password }: TestUser) => ({
  type: "m.login.password",
  identifier: { type: "m.id.user", user: userId },
  password,
});
const whoami = async (token: string) => await hs.request("GET", "/v3/account/whoami", { token });
const unknown = refusal(401, "M_UNKNOWN_TOKEN");

/** @spec client-server-api#get_matrixclientv3login */
describe("getLoginFlows", () => {
  test("names the ways in", async () => {
    const { status, body } = await hs.request("GET", "/v3/login");
    expect(status).toBe(200);
    expect(body.flows).toContainEqual({ type: "m.login.password" });
  });
});

/** @spec client-server-api#post_matrixclientv3login */
describe("login", () => {
  test("knows a user by ID or localpart, in new ways and old", async () => {
    const { userId, localpart, password } = alice;
    const type = "m.login.password";
    for (const named of [
      { identifier: { type: "m.id.user", user: userId } },
      { identifier: { type: "m.id.user", user: localpart } },
      { user: userId },
      { user: localpart },
    ]) {
      const { status, body } = await logIn({ type, password, ...named });
      expect([status, body.user_id]).toEqual([200, userId]);
    }
  });

  test("goes on with a device, whose old token then ends", async () => {
    const first = await logIn({ ...passwordOf(alice), device_id: "SAME" });
    const second = await logIn({ ...passwordOf(alice), device_id: "SAME" });
    expect(second.body.device_id).toBe("SAME");
    expect(await whoami(first.body.access_token)).toMatchObject(unknown);
    expect((await whoami(second.body.access_token)).body.device_id).toBe("SAME");
  });

  test("tells nobody what was wrong", async () => {
    const wrong = await logIn({ ...passwordOf(alice), password: "wrong" });
    const nobody = await logIn({ ...passwordOf({ ...alice, userId: "@nobody:hs.test" }) });
    expect(wrong).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(nobody.text).toBe(wrong.text);
    const elsewhere = await logIn(passwordOf({ ...alice, userId: "@alice:elsewhere.test" }));
    expect(elsewhere).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });

  test("refuses what names nobody, proves nothing, or is of no known type", async () => {
    const { identifier, ...unnamed } = passwordOf(alice);
    expect((await logIn(unnamed)).status).toBe(400);
    expect(await logIn({ type: "m.login.password", identifier })).toMatchObject(
      refusal(400, "M_MISSING_PARAM"),
    );
    expect(await logIn({ type: "m.login.magic" })).toMatchObject(refusal(400, "M_UNKNOWN"));
    expect(await logIn({})).toMatchObject(refusal(400, "M_BAD_JSON"));
  });
});

/** @spec client-server-api#post_matrixclientv1loginget_token */
describe("generateLoginToken", () => {
  test("lets another client in, once, after the password was given", async () => {
    const path = "/v1/login/get_token";
    const asked = await alice.call("POST", path, {});
    expect(asked).toMatchObject({
      status: 401,
      body: { flows: [{ stages: ["m.login.password"] }] },
    });
    const auth = { ...passwordOf(alice), session: asked.body.session };
    const made = await alice.call("POST", path, { auth });
    expect(made.status).toBe(200);
    const byToken = { type: "m.login.token", token: made.body.login_token };
    expect((await logIn(byToken)).body.user_id).toBe(alice.userId);
    expect(await logIn(byToken)).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });

  test("takes no password of somebody else", async () => {
    const bob = await hs.registerUser("bob");
    const answer = await alice.call("POST", "/v1/login/get_token", { auth: passwordOf(bob) });
    expect(answer).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});

/** @spec client-server-api#post_matrixclientv3refresh */
describe("refresh", () => {
  const refresh = async (refresh_token: string) =>
    await hs.request("POST", "/v3/refresh", { body: { refresh_token } });

  test("gives the next pair; the old one ends when the new one is used", async () => {
    const first = (await logIn({ ...passwordOf(alice), refresh_token: true })).body;
    expect(first.expires_in_ms).toBeGreaterThan(0);
    const second = (await refresh(first.refresh_token)).body;
    expect((await whoami(first.access_token)).status).toBe(200);
    // An answer that got lost can be asked for again.
    const again = (await refresh(first.refresh_token)).body;
    expect((await whoami(again.access_token)).status).toBe(200);
    expect(await whoami(first.access_token)).toMatchObject(unknown);
    expect(await refresh(first.refresh_token)).toMatchObject(unknown);
    expect(second.access_token).not.toBe(again.access_token);
  });

  test("revives a device whose access token has expired", async () => {
    const brief = await homeserver({ ARCHIPEL_SESSIONS_ACCESS_TOKEN_LIFETIME_MS: "1" });
    const { login } = await brief.registerUser("brief", { refresh_token: true });
    await sleep(20);
    const expired = await brief.request("GET", "/v3/sync", { token: login.access_token });
    expect(expired).toMatchObject({ ...unknown, body: { ...unknown.body, soft_logout: true } });
    const body = { refresh_token: login.refresh_token };
    expect((await brief.request("POST", "/v3/refresh", { body })).status).toBe(200);
  });

  test("refuses a token that is none", async () => {
    expect(await refresh("none")).toMatchObject(unknown);
  });
});

/** @spec client-server-api#post_matrixclientv3logout */
describe("logout", () => {
  test("ends the token and the device, and no other", async () => {
    const [one, two] = [await hs.logIn(alice), await hs.logIn(alice)];
    expect(await one.call("POST", "/v3/logout")).toMatchObject({ status: 200, body: {} });
    expect(await whoami(one.token)).toMatchObject(unknown);
    const gone = await two.call("GET", `/v3/devices/${one.deviceId}`);
    expect(gone).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

/** @spec client-server-api#post_matrixclientv3logoutall */
describe("logout_all", () => {
  test("ends all tokens of the user", async () => {
    const bob = await hs.registerUser("bob");
    const other = await hs.logIn(bob);
    expect((await bob.call("POST", "/v3/logout/all")).status).toBe(200);
    for (const { token } of [bob, other]) expect(await whoami(token)).toMatchObject(unknown);
    expect((await logIn(passwordOf(bob))).status).toBe(200);
  });
});

/** @spec client-server-api#get_matrixclientv3accountwhoami */
describe("getTokenOwner", () => {
  test("says whose the token is, and on which device", async () => {
    expect((await whoami(alice.token)).body).toEqual({
      user_id: alice.userId,
      device_id: alice.deviceId,
      is_guest: false,
    });
  });
});
