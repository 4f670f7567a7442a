import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const byToken = await homeserver({ ARCHIPEL_REGISTRATION_MODE: "token" });
const closed = await homeserver({
  ARCHIPEL_REGISTRATION_MODE: "closed",
  ARCHIPEL_REGISTRATION_GUESTS_ALLOWED: "false",
});
const auth = { type: "m.login.dummy" };
const password = "correct horse";
const newName = () => `user-${Math.random().toString(36).slice(2)}`;

/** @spec client-server-api#post_matrixclientv3register */
describe("register", () => {
  const register = async (body: object, kind = "user") =>
    await hs.request("POST", `/v3/register?kind=${kind}`, { body });

  test("asks what has to be proved, and then makes an account that is logged in", async () => {
    const username = newName();
    const asked = await register({ username, password });
    expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ["m.login.dummy"] }] } });
    expect(asked.body.errcode).toBeUndefined();
    const { session } = asked.body;
    const made = await register({ username, password, auth: { ...auth, session } });
    expect(made).toMatchObject({ status: 200, body: { user_id: `@${username}:hs.test` } });
    const { access_token: token, device_id, user_id } = made.body;
    expect((await hs.request("GET", "/v3/account/whoami", { token })).body).toEqual({
      user_id,
      device_id,
      is_guest: false,
    });
  });

  test("answers the same request again, should the first answer have been lost", async () => {
    for (const its of [{ username: newName(), password }, { password }]) {
      const { session } = (await register(its)).body;
      const again = { ...its, auth: { ...auth, session } };
      const made = await register(again);
      const repeated = await register(again);
      expect(repeated).toMatchObject({ status: 200, body: { user_id: made.body.user_id } });
      const token = repeated.body.access_token;
      const who = await hs.request("GET", "/v3/account/whoami", { token });
      expect(who.body.user_id).toBe(made.body.user_id);
      // Another request is none that was made before, nor is one with the password from before.
      const other = await register({ ...again, password: `${password}!` });
      expect(other.body.user_id).not.toBe(made.body.user_id);
      const body = { new_password: "battery staple", auth: { type: "m.login.password", password } };
      const changed = await hs.request("POST", "/v3/account/password", { token, body });
      expect(changed.status).toBe(200);
      expect((await register(again)).body.user_id).not.toBe(made.body.user_id);
    }
  });

  test("remembers what was asked for, for clients that then send what proves it and nothing else", async () => {
    const username = newName();
    const device = { device_id: "PHONE", initial_device_display_name: "My phone" };
    const asked = await register({ username, password, ...device, x_show_msisdn: true });
    const { session } = asked.body;
    const made = await register({ auth: { ...auth, session }, x_show_msisdn: true });
    const user_id = `@${username}:hs.test`;
    expect(made).toMatchObject({ status: 200, body: { user_id, device_id: "PHONE" } });
    const token = made.body.access_token;
    expect((await hs.request("GET", "/v3/devices/PHONE", { token })).body).toMatchObject({
      display_name: "My phone",
    });
    const identifier = { type: "m.id.user", user: username };
    const body = { type: "m.login.password", identifier, password };
    expect((await hs.request("POST", "/v3/login", { body })).status).toBe(200);

    const quiet = await register({ password, inhibit_login: true });
    const alone = await register({ auth: { ...auth, session: quiet.body.session } });
    expect(alone.status).toBe(200);
    expect(alone.body).not.toHaveProperty("access_token");
    // Of a session that is over, or began with nothing, there is nothing to go on with.
    expect((await register({ auth: { ...auth, session } })).status).not.toBe(200);
    const empty = await register({});
    expect(await register({ auth: { ...auth, session: empty.body.session } })).toMatchObject(
      refusal(400, "M_MISSING_PARAM"),
    );
  });

  test("takes a session of null for none, as clients in Rust send it", async () => {
    const body = { username: newName(), password, auth: { ...auth, session: null } };
    expect((await register(body)).status).toBe(200);
  });

  test("makes an account that is not logged in, and one on a device of a given name", async () => {
    const quiet = await register({ username: newName(), password, auth, inhibit_login: true });
    expect(quiet.status).toBe(200);
    expect(quiet.body.access_token).toBeUndefined();
    const device = { device_id: "GIVEN", initial_device_display_name: "Phone" };
    const made = await register({ username: newName(), password, auth, ...device });
    const token = made.body.access_token;
    expect((await hs.request("GET", "/v3/devices/GIVEN", { token })).body.display_name).toBe(
      "Phone",
    );
  });

  test("invents a name for one who gives none", async () => {
    expect((await register({ password, auth })).body.user_id).toMatch(/^@[^:]+:hs\.test$/);
  });

  test("refuses names that are taken, in whatever case, and that cannot be", async () => {
    const username = newName();
    await register({ username, password, auth });
    for (const same of [username, username.toUpperCase()]) {
      expect(await register({ username: same, password, auth })).toMatchObject(
        refusal(400, "M_USER_IN_USE"),
      );
    }
    for (const bad of ["a b", "ä", "a:b", "@a", "x".repeat(256), ""]) {
      expect(await register({ username: bad, password, auth })).toMatchObject(
        refusal(400, "M_INVALID_USERNAME"),
      );
    }
  });

  test("refuses a password that is too short", async () => {
    expect(await register({ username: newName(), password: "short", auth })).toMatchObject(
      refusal(400, "M_WEAK_PASSWORD"),
    );
  });

  test("lets guests in where they may come", async () => {
    const guest = await register({}, "guest");
    const { access_token: token } = guest.body;
    expect((await hs.request("GET", "/v3/account/whoami", { token })).body.is_guest).toBe(true);
    expect(await closed.request("POST", "/v3/register?kind=guest", { body: {} })).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
    expect(await register({}, "robot")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });

  /** @spec client-server-api#guest-access */
  test("makes a guest's account a full one, under the same name", async () => {
    const guest = await register({}, "guest");
    const { access_token: guest_access_token, user_id } = guest.body;
    const username = user_id.slice(1).split(":")[0];
    const upgrade = { username, password, guest_access_token };
    expect(await register(upgrade)).toMatchObject({ status: 401 });
    const made = await register({ ...upgrade, auth });
    expect(made).toMatchObject({ status: 200, body: { user_id } });
    for (const token of [guest_access_token, made.body.access_token]) {
      const who = await hs.request("GET", "/v3/account/whoami", { token });
      expect(who.body).toMatchObject({ user_id, is_guest: false });
    }
    const identifier = { type: "m.id.user", user: username };
    const body = { type: "m.login.password", identifier, password };
    expect((await hs.request("POST", "/v3/login", { body })).status).toBe(200);
    // Whoever has an account already cannot be given another password so.
    expect(await register({ ...upgrade, auth })).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });

  test("makes of a guest nobody else", async () => {
    const [one, other] = [await register({}, "guest"), await register({}, "guest")];
    const { access_token: guest_access_token } = one.body;
    const username = other.body.user_id.slice(1).split(":")[0];
    const its = { password, guest_access_token, auth };
    expect(await register({ ...its, username })).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await register(its)).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    expect(await register({ ...its, username, guest_access_token: "none" })).toMatchObject(
      refusal(401, "M_UNKNOWN_TOKEN"),
    );
  });

  test("forbids it where registration is closed", async () => {
    const body = { username: newName(), password, auth };
    expect(await closed.request("POST", "/v3/register", { body })).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });
});

/** @spec client-server-api#get_matrixclientv3registeravailable */
describe("checkUsernameAvailability", () => {
  test("says of a name whether one could register it", async () => {
    const { localpart } = await hs.registerUser("taken");
    const path = "/v3/register/available?username=";
    expect((await hs.request("GET", `${path}${newName()}`)).body).toEqual({ available: true });
    expect(await hs.request("GET", path + localpart)).toMatchObject(refusal(400, "M_USER_IN_USE"));
    expect(await hs.request("GET", `${path}a%20b`)).toMatchObject(
      refusal(400, "M_INVALID_USERNAME"),
    );
    expect(await hs.request("GET", "/v3/register/available")).toMatchObject(
      refusal(400, "M_MISSING_PARAM"),
    );
  });
});

const TOKENS = "/_synapse/admin/v1/registration_tokens";
const validity = "/v1/register/m.login.registration_token/validity";
const admin = await byToken.registerAdministrator("admin");

/** @spec client-server-api#get_matrixclientv1registerm.login.registration_tokenvalidity */
describe("registrationTokenValidity", () => {
  test("says whether one could register with a token, until it is used up", async () => {
    const made = await admin.call("POST", `${TOKENS}/new`, { uses_allowed: 1 });
    const { token } = made.body;
    const isValid = async () =>
      (await byToken.request("GET", `${validity}?token=${token}`)).body.valid;
    expect(await isValid()).toBe(true);
    const proof = { type: "m.login.registration_token", token };
    const body = { username: newName(), password };
    expect((await byToken.request("POST", "/v3/register", { body })).body.flows).toEqual([
      { stages: ["m.login.registration_token"] },
    ]);
    const wrong = { ...body, auth: { ...proof, token: "wrong" } };
    expect((await byToken.request("POST", "/v3/register", { body: wrong })).status).toBe(401);
    const right = { ...body, auth: proof };
    expect((await byToken.request("POST", "/v3/register", { body: right })).status).toBe(200);
    expect(await isValid()).toBe(false);
  });

  test("is no question for a server that asks for no tokens", async () => {
    expect(await hs.request("GET", `${validity}?token=x`)).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });
});

describe("makeRegistrationToken", () => {
  test("makes the token that was asked for, and for administrators alone", async () => {
    const token = newName();
    const made = await admin.call("POST", `${TOKENS}/new`, { token, uses_allowed: 2 });
    expect(made).toMatchObject({ status: 200, body: { token, uses_allowed: 2, completed: 0 } });
    const alice = await hs.registerUser("alice");
    expect(await alice.call("POST", `${TOKENS}/new`, {})).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });
});

describe("listRegistrationTokens", () => {
  test("lists them, to administrators alone", async () => {
    const token = newName();
    await admin.call("POST", `${TOKENS}/new`, { token });
    const { body } = await admin.call("GET", TOKENS);
    expect(body.registration_tokens).toContainEqual(expect.objectContaining({ token }));
    const alice = await hs.registerUser("alice");
    expect(await alice.call("GET", TOKENS)).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});

describe("deleteRegistrationToken", () => {
  test("ends one, once, for administrators alone", async () => {
    const token = newName();
    await admin.call("POST", `${TOKENS}/new`, { token });
    const alice = await hs.registerUser("alice");
    expect(await alice.call("DELETE", `${TOKENS}/${token}`)).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
    expect((await admin.call("DELETE", `${TOKENS}/${token}`)).status).toBe(200);
    expect(await admin.call("DELETE", `${TOKENS}/${token}`)).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
  });
});

/** @spec client-server-api#terms-of-service-at-registration */
test("who registers agrees to the terms, where there are some", async () => {
  const text = (language: string) => ({ name: "Terms", url: `https://hs.test/${language}` });
  const terms = ["en", "fi"].map((it) => ({
    id: "tos",
    version: "1.2",
    language: it,
    ...text(it),
  }));
  const bound = await homeserver({ ARCHIPEL_REGISTRATION_TERMS: JSON.stringify(terms) });
  const account = { username: "bound", password: "correct horse" };
  const register = async (auth?: object) =>
    await bound.request("POST", "/v3/register", { body: { ...account, ...(auth && { auth }) } });
  const asked = await register();
  expect(asked).toMatchObject({
    status: 401,
    body: {
      flows: [{ stages: ["m.login.dummy", "m.login.terms"] }],
      params: {
        "m.login.terms": { policies: { tos: { version: "1.2", en: text("en"), fi: text("fi") } } },
      },
    },
  });
  const { session } = asked.body;
  const half = await register({ type: "m.login.dummy", session });
  expect(half).toMatchObject({ status: 401, body: { completed: ["m.login.dummy"] } });
  expect((await register({ type: "m.login.terms", session })).status).toBe(200);

  const { body } = await bound.request("POST", "/v3/register", { body: { password } });
  const proveAlone = async (type: string) =>
    await bound.request("POST", "/v3/register", {
      body: { auth: { type, session: body.session } },
    });
  expect(await proveAlone("m.login.terms")).toMatchObject({
    status: 401,
    body: { completed: ["m.login.terms"] },
  });
  expect((await proveAlone("m.login.dummy")).status).toBe(200);
});
