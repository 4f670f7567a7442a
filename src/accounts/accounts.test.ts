import { afterAll, expect, test, vi } from "vitest";
import { checkPassword } from "#src/auth/check-password.ts";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { login, passwordAuth, openHouse } from "./testing.ts";

const { hs, ask, close } = await openHouse();
afterAll(close);

test("logging in: by localpart or user ID, in any case, the old way and the new", async () => {
  await registered(ask, "logger");
  for (const user of ["logger", "@logger:test", "@LOGGER:test", "Logger"]) {
    expect((await login(ask, user)).body.user_id).toBe("@logger:test");
  }
  const old = { type: "m.login.password", user: "logger", password: "secret" };
  expect((await ask("POST", "login", { body: old })).status).toBe(200);
});

test("logging in fails in one way, whatever is wrong", async () => {
  await registered(ask, "victim");
  const answers = [
    await login(ask, "victim", "wrong-one"),
    await login(ask, "nobody"),
    await login(ask, "@victim:elsewhere"),
    await login(ask, "not a name"),
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
  const second = (await login(ask, "changer")).body.access_token;
  const body = { ...passwordAuth("changer"), new_password: "newer-secret" };
  expect((await ask("POST", "account/password", { token, body })).status).toBe(200);
  expect([await alive(token), await alive(second)]).toEqual([200, 401]);
  expect((await login(ask, "changer")).status).toBe(403);

  const third = (await login(ask, "changer", "newer-secret")).body.access_token;
  const stay = { ...passwordAuth("changer", "newer-secret"), logout_devices: false };
  const again = { ...stay, new_password: "newest-secret" };
  expect((await ask("POST", "account/password", { token, body: again })).status).toBe(200);
  expect(await alive(third)).toBe(200);

  // Without a token, the password says who it is.
  const open = { ...passwordAuth("changer", "newest-secret"), new_password: "last-secret" };
  expect((await ask("POST", "account/password", { body: open })).status).toBe(200);
  expect(await alive(token)).toBe(401);
  expect((await login(ask, "changer", "last-secret")).status).toBe(200);
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

test("they are checked no later since the clock is set back", async () => {
  const strict = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_RATE_LIMITS_ENABLED: "true",
    ARCHIPEL_RATE_LIMITS_LOGIN_BURST: "1",
    ARCHIPEL_RATE_LIMITS_LOGIN_PER_SECOND: "5",
  });
  await registered(asking(strict.hs), "target");
  const guess = async () => await checkPassword(strict.hs, "@target:test", "guess");
  await guess();
  await expect(guess()).rejects.toMatchObject({ errcode: "M_LIMIT_EXCEEDED" });
  const { now } = strict.hs;
  Object.assign(strict.hs, { now: () => now() - 7_200_000 });
  await vi.waitFor(guess);
  await strict.close();
});
