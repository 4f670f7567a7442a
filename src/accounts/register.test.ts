import { createHmac } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { appOf } from "#src/app.ts";
import { changeAccount } from "#src/auth/accounts-stream.ts";
import { findAccount } from "#src/auth/find-account.ts";
import { makeRegistrationToken } from "#src/auth/registration-tokens.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { asking, LENIENT, register } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { firstAdministratorLink } from "./first-administrator.ts";
import { openHouse } from "./testing.ts";

const { hs, ask, close } = await openHouse();
afterAll(close);

test("registering takes two requests, or one that brings its proof", async () => {
  const body = { username: "Two-Steps", password: "secret", device_id: "D" };
  const first = await ask("POST", "register", { body });
  expect(first).toMatchObject({ status: 401, body: { flows: [{ stages: ["m.login.dummy"] }] } });
  expect(first.body).not.toHaveProperty("errcode");
  const auth = { type: "m.login.dummy", session: first.body.session };
  const second = await ask("POST", "register", { body: { ...body, auth } });
  expect(second.body).toEqual({
    user_id: "@two-steps:test",
    home_server: "test",
    device_id: "D",
    access_token: expect.stringMatching(/^arc_/),
  });
  const profile = await ask("GET", "profile/@two-steps:test");
  expect(profile.body).toEqual({ displayname: "Two-Steps" });
});

test("who asks again for the account that they have made is not let in once it is locked", async () => {
  const wanted = { username: "shut", password: "secret" };
  const { session } = (await ask("POST", "register", { body: wanted })).body;
  const body = { ...wanted, auth: { type: "m.login.dummy", session } };
  const { user_id } = (await ask<{ user_id: UserId }>("POST", "register", { body })).body;
  expect((await ask("POST", "register", { body })).body).toMatchObject({ user_id });

  const account = await findAccount(hs, user_id);
  await changeAccount(hs, account?.userKey ?? 0, { isLocked: true });
  const again = await ask("POST", "register", { body });
  expect(again).toMatchObject({ status: 401, body: { errcode: "M_USER_LOCKED" } });
});

test("an account can be made without logging in, and without a name", async () => {
  const body = { password: "secret", inhibit_login: true, auth: { type: "m.login.dummy" } };
  const { status, body: answer } = await ask("POST", "register", { body });
  expect(status).toBe(200);
  expect(answer).toEqual({
    home_server: "test",
    user_id: expect.stringMatching(/^@u[0-9a-f]+:test$/),
  });
});

test.each([
  ["a name with a blank", { username: "a b" }, "M_INVALID_USERNAME"],
  ["a name with an accent", { username: "é" }, "M_INVALID_USERNAME"],
  ["a name that is too long", { username: "a".repeat(250) }, "M_INVALID_USERNAME"],
  ["an empty name", { username: "" }, "M_INVALID_USERNAME"],
  ["a short password", { username: "shorty", password: "abc" }, "M_WEAK_PASSWORD"],
  ["a long password", { username: "longy", password: "a".repeat(1025) }, "M_INVALID_PARAM"],
  ["no password", { username: "none", password: null }, "M_MISSING_PARAM"],
  ["a device that cannot be", { username: "dev", device_id: "" }, "M_INVALID_PARAM"],
])("registering with %s is refused", async (_what, further, errcode) => {
  const body = { password: "secret", auth: { type: "m.login.dummy" }, ...further };
  expect(await ask("POST", "register", { body })).toMatchObject({ status: 400, body: { errcode } });
});

test("of many who want one name at once, one gets it", async () => {
  const names = Array.from({ length: 8 }, () => "wanted");
  const answers = await Promise.all(names.map(async (it) => (await register(ask, it)).body));
  expect(answers.filter((it) => it.user_id === "@wanted:test")).toHaveLength(1);
  expect(answers.filter((it) => it.errcode === "M_USER_IN_USE")).toHaveLength(7);
  const available = async (name: string) =>
    (await ask("GET", `register/available?username=${name}`)).body;
  expect(await available("WANTED")).toMatchObject({ errcode: "M_USER_IN_USE" });
  expect(await available("unwanted")).toEqual({ available: true });
  expect(await available("un,wanted")).toMatchObject({ errcode: "M_INVALID_USERNAME" });
});

test("a guest comes in on a device of the server's choice, and may do little", async () => {
  const body = { device_id: "MINE", username: "mine" };
  const guest = (await ask("POST", "register?kind=guest", { body })).body;
  expect(guest.user_id).toMatch(/^@guest-/);
  expect(guest.device_id).not.toBe("MINE");
  const me = await ask("GET", "account/whoami", { token: guest.access_token });
  expect(me.body).toEqual({ user_id: guest.user_id, device_id: guest.device_id, is_guest: true });
  const refused = await ask("POST", "createRoom", { token: guest.access_token, body: {} });
  expect(refused.body.errcode).toBe("M_GUEST_ACCESS_FORBIDDEN");
});

test("a script that knows the shared secret makes accounts, also administrators", async () => {
  const path = "/_synapse/admin/v1/register";
  const byScript = async (mac: (nonce: string) => string) => {
    const { nonce } = (await ask<{ nonce: string }>("GET", path)).body;
    const body = { nonce, username: "Scripted", password: "secret", admin: true, mac: mac(nonce) };
    return [await ask("POST", path, { body }), await ask("POST", path, { body })] as const;
  };
  const macOf = (secret: string) => (nonce: string) =>
    createHmac("sha1", secret).update(`${nonce}\0Scripted\0secret\0admin`).digest("hex");
  const [wrong] = await byScript(macOf("guessed"));
  expect(wrong.body.errcode).toBe("M_FORBIDDEN");
  const [right, replayed] = await byScript(macOf("shared"));
  expect(right.body.user_id).toBe("@scripted:test");
  expect(replayed).toMatchObject({ status: 400, body: { errcode: "M_UNKNOWN" } });
  const [row] = await hs.sql`
    select is_admin from accounts join users using (user_key) where user_id = '@scripted:test'`;
  expect(row?.["is_admin"]).toBe(true);
  expect(await firstAdministratorLink(hs)).toBeUndefined();
});

test("a registration token registers as many as it says", async () => {
  const closed = await testHomeservers(1, { ...LENIENT, ARCHIPEL_REGISTRATION_MODE: "token" });
  const askClosed = asking(closed.hs);
  const { token } = await makeRegistrationToken(closed.hs, { usesAllowed: 2 });
  const validity = async (it: string) =>
    (
      await askClosed(
        "GET",
        `/_matrix/client/v1/register/m.login.registration_token/validity?token=${it}`,
      )
    ).body;
  expect(await validity(token)).toEqual({ valid: true });
  expect(await validity("other")).toEqual({ valid: false });
  const auth = { type: "m.login.registration_token", token };
  const answers = await Promise.all(
    ["a", "b", "c", "d"].map(async (it) => (await register(askClosed, it, { auth })).body),
  );
  expect(answers.filter((it) => it.user_id !== undefined)).toHaveLength(2);
  expect(await validity(token)).toEqual({ valid: false });
  const [row] = await closed.hs.sql`select count(*) as n from accounts`;
  expect(row?.["n"]).toBe(2);
  await closed.close();
});

test("the first administrator is made once, by a link", async () => {
  const closed = await testHomeservers(1, { ...LENIENT, ARCHIPEL_REGISTRATION_MODE: "closed" });
  const askClosed = asking(closed.hs);
  expect((await register(askClosed, "anybody")).body.errcode).toBe("M_FORBIDDEN");
  const link = new URL((await firstAdministratorLink(closed.hs)) ?? "");
  const token = link.searchParams.get("token") ?? "";
  const page = await askClosed("GET", `${link.pathname}${link.search}`);
  expect(page.status).toBe(200);
  expect(page.response.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(page.body).toContain(`value="${token}"`);

  const post = async (form: Record<string, string>) => {
    const body = new URLSearchParams(form).toString();
    const headers = { "content-length": String(body.length) };
    return await appOf(closed.hs).request(link.pathname, { method: "POST", body, headers });
  };
  const bad = await post({ token, username: `"><script>`, password: "secret" });
  expect(bad.status).toBe(400);
  expect(await bad.text()).toContain("&quot;&gt;&lt;script&gt;");
  expect((await post({ token: "ars_x", username: "admin", password: "secret" })).status).toBe(403);
  const tries = await Promise.all(
    ["admin", "admin2"].map(
      async (username) => await post({ token, username, password: "secret" }),
    ),
  );
  expect(tries.map((it) => it.status).toSorted((a, b) => a - b)).toEqual([200, 403]);
  expect((await askClosed("GET", `${link.pathname}${link.search}`)).status).toBe(403);
  expect(await firstAdministratorLink(closed.hs)).toBeUndefined();
  await closed.close();
});
