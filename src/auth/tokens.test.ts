import { afterAll, beforeAll, expect, test } from "vitest";
import { registerSenders } from "#src/accounts/appservice-users.ts";
import { AS_TOKEN, testAppservice } from "#src/bridging/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { changeAccount } from "./accounts-stream.ts";
import { findAccount } from "./find-account.ts";
import { forgetExpiredTokens } from "./job-forget-expired.ts";
import { noteSeen, writeSightings } from "./last-seen.ts";
import { lookupToken } from "./lookup-token.ts";

let homes: TestHomeservers;
let hs: Homeserver;
let here: Ask;
let there: Ask;
beforeAll(async () => {
  homes = await testHomeservers(2, LENIENT);
  const [first, second] = homes.all;
  if (!first || !second) throw new RangeError("two homeservers are needed");
  hs = first;
  here = asking(first);
  there = asking(second);
});
afterAll(async () => await homes.close());

const whoami = async (ask: Ask, token: string) => await ask("GET", "account/whoami", { token });
const use = { operation: "sync", ip: "", query: () => new URLSearchParams() } as const;

test("a token that is known costs no query", async () => {
  const { access_token, user_id } = await registered(here, "known");
  const first = lookupToken(hs, access_token, use);
  expect(first).toBeInstanceOf(Promise);
  await first;
  expect(lookupToken(hs, access_token, use)).toMatchObject({ userId: user_id, isAdmin: false });
});

test.each([
  ["first", () => here, () => there],
  ["second", () => there, () => here],
])(
  "a device that is logged out in the %s process is logged out in all",
  async (name, of, other) => {
    const { access_token } = await registered(of(), `leaver-of-${name}`);
    expect((await whoami(other(), access_token)).status).toBe(200);
    expect((await of()("POST", "logout", { token: access_token })).status).toBe(200);
    expect((await whoami(of(), access_token)).body.errcode).toBe("M_UNKNOWN_TOKEN");
    const refused = await whoami(other(), access_token);
    expect(refused).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
    expect(refused.body).not.toHaveProperty("soft_logout");
  },
);

test("a locked account can only log out, and is its owner's again when unlocked", async () => {
  const { access_token, user_id } = await registered(here, "locked");
  expect((await whoami(there, access_token)).status).toBe(200);
  const account = await findAccount(hs, user_id);
  await changeAccount(hs, account?.userKey ?? 0, { isLocked: true });
  expect(await whoami(there, access_token)).toMatchObject({
    status: 401,
    body: { errcode: "M_USER_LOCKED", soft_logout: true },
  });
  const login = await here("POST", "login", {
    body: { type: "m.login.password", user: "locked", password: "secret" },
  });
  expect(login.body.errcode).toBe("M_USER_LOCKED");

  await changeAccount(hs, account?.userKey ?? 0, { isLocked: false });
  expect((await whoami(there, access_token)).status).toBe(200);
  await changeAccount(hs, account?.userKey ?? 0, { isLocked: true });
  expect((await here("POST", "logout/all", { token: access_token })).status).toBe(200);
});

test("a suspended account may read and leave, and not speak", async () => {
  const { access_token, user_id } = await registered(here, "suspended");
  const account = await findAccount(hs, user_id);
  await changeAccount(hs, account?.userKey ?? 0, { isSuspended: true });
  expect((await whoami(here, access_token)).status).toBe(200);
  const refused = await here("POST", "createRoom", { token: access_token, body: {} });
  expect(refused).toMatchObject({ status: 403, body: { errcode: "M_USER_SUSPENDED" } });
});

test("several changes of one account in one group all count", async () => {
  const { user_id } = await registered(here, "many-changes");
  const userKey = (await findAccount(hs, user_id))?.userKey ?? 0;
  await Promise.all([
    changeAccount(hs, userKey, { isAdmin: true }),
    changeAccount(hs, userKey, { isSuspended: true }),
    changeAccount(hs, userKey, { isSuspended: false }),
  ]);
  expect(await findAccount(hs, user_id)).toMatchObject({ isAdmin: true, isSuspended: false });
});

test("the old pair is valid until the new one is used, by whichever of its tokens", async () => {
  const first = await registered(here, "refresher", { refresh_token: true });
  expect(first).toMatchObject({ expires_in_ms: 300_000, refresh_token: expect.any(String) });
  const refresh = async (ask: Ask, refresh_token = "") =>
    await ask("POST", "refresh", { body: { refresh_token } });

  const lost = (await refresh(here, first.refresh_token)).body;
  const second = (await refresh(there, first.refresh_token)).body;
  expect((await whoami(here, first.access_token)).status).toBe(200);
  expect((await whoami(there, second.access_token)).status).toBe(200);
  // The answer with these was lost; others were given in their place, and used.
  expect((await whoami(here, lost.access_token)).status).toBe(401);
  expect(await refresh(here, first.refresh_token)).toMatchObject({
    status: 401,
    body: { errcode: "M_UNKNOWN_TOKEN" },
  });

  const third = (await refresh(here, second.refresh_token)).body;
  const fourth = (await refresh(here, third.refresh_token)).body;
  expect((await refresh(here, second.refresh_token)).status).toBe(401);
  expect((await whoami(here, fourth.access_token)).status).toBe(200);
});

test("a client goes on with any of the pairs that it was given for one, though another came last", async () => {
  const first = await registered(here, "hasty", { refresh_token: true });
  const refresh = async (ask: Ask, refresh_token = "") =>
    (await ask("POST", "refresh", { body: { refresh_token } })).body;
  const taken = await refresh(here, first.refresh_token);
  const late = await refresh(there, first.refresh_token);
  expect((await whoami(there, taken.access_token)).status).toBe(200);
  expect((await whoami(here, late.access_token)).status).toBe(401);
  expect((await whoami(here, first.access_token)).status).toBe(401);
  expect((await refresh(here, late.refresh_token)).errcode).toBe("M_UNKNOWN_TOKEN");
  const next = await refresh(here, taken.refresh_token);
  expect((await whoami(there, next.access_token)).status).toBe(200);
});

test("of many that ask at once with one refresh token, and go on, one is left, and none fails", async () => {
  const first = await registered(here, "crowd", { refresh_token: true });
  const asks = [here, there, here, there, here, there];
  const answers = await Promise.all(
    asks.map(async (ask) => {
      const body = { refresh_token: first.refresh_token };
      const { status, body: pair } = await ask("POST", "refresh", { body });
      if (status !== 200) return [status];
      const uses = [whoami(ask, pair.access_token), ask("POST", "refresh", { body: pair })];
      return [status, ...(await Promise.all(uses)).map((it) => it.status)];
    }),
  );
  expect(new Set(answers.flat()).difference(new Set([200, 401]))).toEqual(new Set());
});

test("the old access token ends everywhere when the new pair is used", async () => {
  const refresh = async (refresh_token = "") =>
    (await here("POST", "refresh", { body: { refresh_token } })).body;
  const first = await registered(here, "everywhere", { refresh_token: true });
  expect((await whoami(there, first.access_token)).status).toBe(200);
  const second = await refresh(first.refresh_token);
  expect((await whoami(here, second.access_token)).status).toBe(200);
  expect((await whoami(there, first.access_token)).status).toBe(401);

  expect((await whoami(there, second.access_token)).status).toBe(200);
  const third = await refresh(second.refresh_token);
  await refresh(third.refresh_token);
  expect((await whoami(there, second.access_token)).status).toBe(401);
});

test("a locked account gets no new tokens, nor does its password do anything", async () => {
  const { refresh_token, user_id } = await registered(here, "stuck", { refresh_token: true });
  const account = await findAccount(hs, user_id);
  await changeAccount(hs, account?.userKey ?? 0, { isLocked: true });
  const refused = await here("POST", "refresh", { body: { refresh_token } });
  expect(refused).toMatchObject({
    status: 401,
    body: { errcode: "M_USER_LOCKED", soft_logout: true },
  });
  const auth = { type: "m.login.password", user: "stuck", password: "secret" };
  for (const path of ["account/deactivate", "account/password"]) {
    const byPassword = await here("POST", path, { body: { auth, new_password: "other" } });
    expect(byPassword).toMatchObject({ status: 401, body: { errcode: "M_USER_LOCKED" } });
  }
  await changeAccount(hs, account?.userKey ?? 0, { isLocked: false });
  expect((await here("POST", "refresh", { body: { refresh_token } })).status).toBe(200);
});

test("who has merely expired is told so, and forgotten later", async () => {
  const { access_token } = await registered(here, "expired");
  await hs.sql`
    update access_tokens set access_expires_at_ms = ${hs.now() - 1000}
    where device_key in (select device_key from devices join users using (user_key)
      where user_id = '@expired:test')`;
  const refused = await whoami(here, access_token);
  expect(refused.body).toMatchObject({ errcode: "M_UNKNOWN_TOKEN", soft_logout: true });

  await hs.sql`update access_tokens set access_expires_at_ms = 1 where access_expires_at_ms is not null
    and refresh_hash is null`;
  expect(await forgetExpiredTokens.run(hs, AbortSignal.abort())).toBe("done");
  expect((await whoami(here, access_token)).body).not.toHaveProperty("soft_logout");
});

test("logging in to a device again ends its older tokens everywhere", async () => {
  const old = await registered(here, "again", { device_id: "PHONE" });
  expect((await whoami(there, old.access_token)).status).toBe(200);
  const body = { type: "m.login.password", user: "again", password: "secret", device_id: "PHONE" };
  const { access_token } = (await here("POST", "login", { body })).body;
  expect((await whoami(there, old.access_token)).status).toBe(401);
  expect((await whoami(there, access_token)).body.device_id).toBe("PHONE");
});

test("where a device was seen last is written", async () => {
  const { access_token } = await registered(here, "seen");
  const { deviceKey } = await lookupToken(hs, access_token, use);
  noteSeen(hs, deviceKey, { ip: "192.0.2.1", userAgent: "Example/1" });
  await writeSightings(hs);
  const [row] = await hs.sql<{ last_seen_ms: number; last_seen_ip: string }[]>`
    select last_seen_ms, last_seen_ip from devices where device_key = ${deviceKey}`;
  expect(row?.last_seen_ip).toBe("192.0.2.1");
  expect(row?.last_seen_ms).toBeGreaterThan(hs.now() - 60_000);
});

test("only hashes of tokens are stored", async () => {
  const { access_token } = await registered(here, "hashed");
  const rows = await hs.sql<{ it: string }[]>`
    select access_tokens::text as it from access_tokens`;
  const hex = Buffer.from(access_token).toString("hex");
  expect(rows.some(({ it }) => it.includes(access_token) || it.includes(hex))).toBe(false);
});

test("a token is accepted in the query string where old clients may send it there, and nowhere else", async () => {
  const lenient = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_SESSIONS_TOKENS_IN_QUERY: "true",
  });
  try {
    const ask = asking(lenient.hs);
    const { access_token, user_id } = await registered(ask, "old");
    const path = (token: string) => `account/whoami?access_token=${encodeURIComponent(token)}`;
    expect((await ask("GET", path(access_token))).body.user_id).toBe(user_id);
    expect((await ask("GET", path(`${access_token}x`))).body.errcode).toBe("M_UNKNOWN_TOKEN");
    expect((await ask("GET", path(""))).body.errcode).toBe("M_MISSING_TOKEN");
    const own = await registered(here, "new");
    expect((await here("GET", path(own.access_token))).body.errcode).toBe("M_MISSING_TOKEN");
  } finally {
    await lenient.close();
  }
});

test("nobody is taken for a user whom an application service has spoken for by saying so in a token", async () => {
  const bridge = await testAppservice({ url: null });
  const homes = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_SESSIONS_TOKENS_IN_QUERY: "true",
    ARCHIPEL_APPSERVICES_FILES: bridge.file,
  });
  try {
    const ask = asking(homes.hs);
    await registerSenders(homes.hs);
    const whoamiBy = async (token: string) =>
      (await ask("GET", `account/whoami?access_token=${encodeURIComponent(token)}`)).body;
    expect(await whoamiBy(AS_TOKEN)).toMatchObject({ user_id: "@bridgebot:test" });
    for (const kind of ["as", "mask"]) {
      const forged = `${kind} ${JSON.stringify(["bridge", "@bridgebot:test", ""])}`;
      expect(await whoamiBy(forged)).toMatchObject({ errcode: "M_UNKNOWN_TOKEN" });
    }
  } finally {
    await homes.close();
    await bridge.close();
  }
});
