import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appOf } from "#src/app.ts";
import { checkPassword } from "#src/auth/check-password.ts";
import { makeRegistrationToken } from "#src/auth/registration-tokens.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { firstAdministratorLink } from "./first-administrator.ts";
import { finishDeactivations } from "./leave-rooms.ts";

let homes: TestHomeservers;
let hs: Homeserver;
let ask: Ask;
beforeAll(async () => {
  homes = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_REGISTRATION_SHARED_SECRET: "shared",
    ARCHIPEL_REGISTRATION_GUESTS_ALLOWED: "true",
    ARCHIPEL_PASSWORDS_MIN_LENGTH: "6",
  });
  hs = homes.hs;
  ask = asking(hs);
});
afterAll(async () => await homes.close());

const login = async (user: string, password = "secret", further: object = {}) =>
  await ask("POST", "login", {
    body: {
      type: "m.login.password",
      identifier: { type: "m.id.user", user },
      password,
      ...further,
    },
  });
const passwordAuth = (user: string, password = "secret") => ({
  auth: { type: "m.login.password", identifier: { type: "m.id.user", user }, password },
});

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
  const answers = await Promise.all(names.map(async (it) => await registered(ask, it)));
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

test("logging in: by localpart or user ID, in any case, the old way and the new", async () => {
  await registered(ask, "logger");
  for (const user of ["logger", "@logger:test", "@LOGGER:test", "Logger"]) {
    expect((await login(user)).body.user_id).toBe("@logger:test");
  }
  const old = { type: "m.login.password", user: "logger", password: "secret" };
  expect((await ask("POST", "login", { body: old })).status).toBe(200);
});

test("logging in fails in one way, whatever is wrong", async () => {
  await registered(ask, "victim");
  const answers = [
    await login("victim", "wrong-one"),
    await login("nobody"),
    await login("@victim:elsewhere"),
    await login("not a name"),
    await ask("POST", "login", {
      body: { type: "m.login.password", medium: "email", address: "a@b", password: "secret" },
    }),
  ];
  for (const { status, body } of answers) {
    expect({ status, body }).toEqual({ status: 403, body: answers[0]?.body });
  }
  expect(answers[0]?.body.errcode).toBe("M_FORBIDDEN");
  const bad = async (body: object) => (await ask("POST", "login", { body })).body.errcode;
  expect(await bad({ type: "m.login.none" })).toBe("M_UNKNOWN");
  expect(await bad({ type: "m.login.password", user: "victim" })).toBe("M_MISSING_PARAM");
  expect(await bad({})).toBe("M_BAD_JSON");
});

test("a log-in token lets one other client in", async () => {
  const { access_token: token } = await registered(ask, "giver");
  const path = "/_matrix/client/v1/login/get_token";
  expect((await ask("POST", path, { token, body: {} })).status).toBe(401);
  const { login_token } = (await ask("POST", path, { token, body: passwordAuth("giver") })).body;
  const body = { type: "m.login.token", token: login_token };
  expect((await ask("POST", "login", { body })).body.user_id).toBe("@giver:test");
  expect((await ask("POST", "login", { body })).status).toBe(403);
});

test("what was proved by an old password is to be proved again by the new one", async () => {
  const { access_token: token, user_id } = await registered(ask, "prover");
  const proved = async () =>
    await hs.sql`
      select from devices join users using (user_key)
      where user_id = ${user_id} and proved_ms is not null`;
  await hs.sql`
    update devices set proved_ms = ${hs.now()} from users
    where users.user_key = devices.user_key and user_id = ${user_id}`;
  expect(await proved()).toHaveLength(1);
  const body = { ...passwordAuth("prover"), new_password: "newer-secret" };
  expect((await ask("POST", "account/password", { token, body })).status).toBe(200);
  expect(await proved()).toHaveLength(0);
});

test("a new password logs out the other devices, unless they are to stay", async () => {
  const { access_token: token } = await registered(ask, "changer");
  const alive = async (it: string) => (await ask("GET", "account/whoami", { token: it })).status;
  const second = (await login("changer")).body.access_token;
  const body = { ...passwordAuth("changer"), new_password: "newer-secret" };
  expect((await ask("POST", "account/password", { token, body })).status).toBe(200);
  expect([await alive(token), await alive(second)]).toEqual([200, 401]);
  expect((await login("changer")).status).toBe(403);

  const third = (await login("changer", "newer-secret")).body.access_token;
  const stay = { ...passwordAuth("changer", "newer-secret"), logout_devices: false };
  const again = { ...stay, new_password: "newest-secret" };
  expect((await ask("POST", "account/password", { token, body: again })).status).toBe(200);
  expect(await alive(third)).toBe(200);

  // Without a token, the password says who it is.
  const open = { ...passwordAuth("changer", "newest-secret"), new_password: "last-secret" };
  expect((await ask("POST", "account/password", { body: open })).status).toBe(200);
  expect(await alive(token)).toBe(401);
  expect((await login("changer", "last-secret")).status).toBe(200);
});

test("a deactivated account is out of its rooms, and its name is never free again", async () => {
  const { access_token: token } = await registered(ask, "leaver");
  const owner = (await registered(ask, "owner")).access_token;
  const rooms: string[] = [];
  for (let index = 0; index < 3; index++) {
    const body = { preset: "public_chat" };
    const { room_id } = (await ask("POST", "createRoom", { token: owner, body })).body;
    await ask("POST", `join/${room_id}`, { token, body: {} });
    rooms.push(room_id);
  }
  const backup = { algorithm: "m.test", auth_data: {} };
  await ask("POST", "room_keys/version", { token, body: backup });
  const key = { user_id: "@leaver:test", usage: ["master"], keys: { "ed25519:abc": "abc" } };
  const published = { token, body: { master_key: key } };
  expect((await ask("POST", "keys/device_signing/upload", published)).status).toBe(200);

  const wrong = passwordAuth("leaver", "wrong-one");
  expect((await ask("POST", "account/deactivate", { token, body: wrong })).status).toBe(401);
  const right = { ...passwordAuth("leaver"), erase: true };
  expect(await ask("POST", "account/deactivate", { token, body: right })).toMatchObject({
    status: 200,
    body: { id_server_unbind_result: "success" },
  });
  expect((await ask("GET", "account/whoami", { token })).status).toBe(401);
  expect((await login("leaver")).status).toBe(403);
  expect((await registered(ask, "leaver")).errcode).toBe("M_USER_IN_USE");
  expect((await ask("GET", "profile/@leaver:test")).body).toEqual({});
  const query = { token: owner, body: { device_keys: { "@leaver:test": [] } } };
  expect((await ask("POST", "keys/query", query)).body.master_keys).toEqual({});
  const backups = await hs.sql`
    select 1 from key_backups join users using (user_key) where user_id = '@leaver:test'`;
  expect(backups).toEqual([]);

  await finishDeactivations.run(hs, new AbortController().signal);
  for (const roomId of rooms) {
    const path = `rooms/${roomId}/state/m.room.member/@leaver:test`;
    expect((await ask("GET", path, { token: owner })).body.membership).toBe("leave");
  }
});

test("an account that cannot be brought to its end keeps no other from it", async () => {
  await registered(ask, "stuck");
  await registered(ask, "behind");
  const keys = await hs.sql<{ user_key: number; user_id: string }[]>`
    update accounts set leaving_after = 0 from users
    where users.user_key = accounts.user_key and user_id in ('@stuck:test', '@behind:test')
    returning users.user_key, user_id`;
  const stuck = keys.find((it) => it.user_id === "@stuck:test")?.user_key;
  await hs.sql.unsafe(`
    create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'refused'; end $$;
    create trigger refusing before update on accounts for each row
      when (old.user_key = ${stuck}) execute function refuse()`);
  expect(await finishDeactivations.run(hs, new AbortController().signal)).toBe("done");
  const left = () =>
    hs.sql`select user_key from accounts where leaving_after is not null order by user_key`;
  expect(await left()).toEqual([{ user_key: stuck }]);
  await hs.sql.unsafe("drop function refuse cascade");
  await finishDeactivations.run(hs, new AbortController().signal);
  expect(await left()).toEqual([]);
});

test("a script that knows the shared secret makes accounts, also administrators", async () => {
  const path = "/_synapse/admin/v1/register";
  const register = async (mac: (nonce: string) => string) => {
    const { nonce } = (await ask("GET", path)).body;
    const body = { nonce, username: "Scripted", password: "secret", admin: true, mac: mac(nonce) };
    return [await ask("POST", path, { body }), await ask("POST", path, { body })] as const;
  };
  const macOf = (secret: string) => (nonce: string) =>
    createHmac("sha1", secret).update(`${nonce}\0Scripted\0secret\0admin`).digest("hex");
  const [wrong] = await register(macOf("guessed"));
  expect(wrong.body.errcode).toBe("M_FORBIDDEN");
  const [right, replayed] = await register(macOf("shared"));
  expect(right.body.user_id).toBe("@scripted:test");
  expect(replayed).toMatchObject({ status: 400, body: { errcode: "M_UNKNOWN" } });
  const [row] = await hs.sql`
    select is_admin from accounts join users using (user_key) where user_id = '@scripted:test'`;
  expect(row?.["is_admin"]).toBe(true);
  expect(await firstAdministratorLink(hs)).toBeUndefined();
});

test("administrators lock and suspend others, and give out registration tokens", async () => {
  const admin = (await registered(ask, "moderator")).access_token;
  const { access_token: token, user_id } = await registered(ask, "moderated");
  await hs.sql`update accounts set is_admin = true where user_key = (
    select user_key from users where user_id = '@moderator:test')`;
  const path = (what: string, user: string) => `/_matrix/client/v1/admin/${what}/${user}`;
  const refused = await ask("GET", path("lock", "@nobody:test"), { token });
  expect(refused).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });

  const set = async (what: string, body: object, user = user_id) =>
    await ask("PUT", path(what, user), { token: admin, body });
  expect((await set("suspend", { suspended: true })).body).toEqual({ suspended: true });
  expect((await ask("GET", path("suspend", user_id), { token: admin })).body.suspended).toBe(true);
  const speaking = await ask("POST", "createRoom", { token, body: {} });
  expect(speaking.body.errcode).toBe("M_USER_SUSPENDED");
  await set("suspend", { suspended: false });
  await set("lock", { locked: true });
  expect((await ask("GET", "account/whoami", { token })).body.errcode).toBe("M_USER_LOCKED");
  expect((await set("lock", { locked: true }, "@moderator:test")).status).toBe(403);
  expect((await set("lock", { locked: true }, "@nobody:test")).status).toBe(404);
  expect((await set("lock", { locked: true }, "@a:elsewhere")).status).toBe(400);

  const tokens = "/_synapse/admin/v1/registration_tokens";
  const made = await ask("POST", `${tokens}/new`, { token: admin, body: { uses_allowed: 1 } });
  const list = async () => (await ask("GET", tokens, { token: admin })).body.registration_tokens;
  expect(await list()).toEqual([made.body]);
  const one = `${tokens}/${made.body.token}`;
  expect((await ask("DELETE", one, { token: admin })).status).toBe(200);
  expect((await ask("DELETE", one, { token: admin })).status).toBe(404);
  const bad = { token: "not a token!" };
  expect((await ask("POST", `${tokens}/new`, { token: admin, body: bad })).status).toBe(400);
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
    ["a", "b", "c", "d"].map(async (it) => await registered(askClosed, it, { auth })),
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
  expect((await registered(askClosed, "anybody")).errcode).toBe("M_FORBIDDEN");
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

test("after too many wrong passwords an account's are not checked for a while", async () => {
  const strict = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_RATE_LIMITS_ENABLED: "true",
    ARCHIPEL_RATE_LIMITS_LOGIN_BURST: "100",
    ARCHIPEL_RATE_LIMITS_LOGIN_PER_SECOND: "0.001",
  });
  const askStrict = asking(strict.hs);
  await registered(askStrict, "target");
  const guess = async () => await checkPassword(strict.hs, "@target:test", "guess");
  for (let tries = 0; tries < 100; tries++) expect(await guess()).toBeUndefined();
  const refused = { errcode: "M_LIMIT_EXCEEDED", fields: { retry_after_ms: expect.any(Number) } };
  await expect(guess()).rejects.toMatchObject(refused);
  // Others are not meant.
  expect(await checkPassword(strict.hs, "@another:test", "guess")).toBeUndefined();

  // Nor do many guesses at once have more of them.
  await registered(askStrict, "besieged");
  const besieged = async (password: string) =>
    await checkPassword(strict.hs, "@besieged:test", password);
  for (let tries = 0; tries < 3; tries++) expect(await besieged("secret")).toBeDefined();
  const guesses = Array.from({ length: 120 }, async () => await besieged("guess"));
  const outcomes = await Promise.allSettled(guesses);
  expect(outcomes.filter((it) => it.status === "fulfilled")).toHaveLength(100);
  await strict.close();
});
