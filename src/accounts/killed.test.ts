import { afterAll, expect, test } from "vitest";
import { findAccount } from "#src/auth/find-account.ts";
import { makeOneTimeToken } from "#src/auth/one-time-tokens.ts";
import { killedAnywhere } from "#src/testing-crash.ts";
import { asking, type Answered, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { login, passwordAuth } from "./testing.ts";

/** What is asked at one process, which is killed, is seen at the other. */
const homes = await testHomeservers(2, LENIENT);
const [hs, victim] = homes.all as [typeof homes.hs, typeof homes.hs];
const [ask, askVictim] = homes.all.map(asking) as [Ask, Ask];
afterAll(async () => await homes.close());

function requireDone({ status }: Answered): void {
  if (status !== 200) throw new Error(`answered with ${status}`);
}

const whoami = async (token: string) => (await ask("GET", "account/whoami", { token })).status;

test("no device is left that nobody is logged in on", async () => {
  await registered(ask, "alice");
  const act = async () => requireDone(await login(askVictim, "alice"));
  await killedAnywhere(victim, act, async () => {
    const left = await hs.sql`
      select from devices where not exists (
        select from access_tokens where access_tokens.device_key = devices.device_key)`;
    expect(left).toHaveLength(0);
  });
});

test("tokens that a log-in has ended are none anywhere", async () => {
  const device = { device_id: "PHONE" };
  const { user_id } = await registered(ask, "again");
  let token = "";
  const act = async () => {
    token = (await login(ask, "again", "secret", device)).body.access_token ?? "";
    expect(await whoami(token)).toBe(200);
    requireDone(await login(askVictim, "again", "secret", device));
  };
  await killedAnywhere(victim, act, async () => {
    const isKnown = (await whoami(token)) === 200;
    const { userKey = 0 } = (await findAccount(hs, user_id)) ?? {};
    const stored = await hs.sql`
      select from access_tokens join devices using (device_key)
      where user_key = ${userKey} and device_id = 'PHONE' and access_hash = sha256(${Buffer.from(token)})`;
    expect(isKnown).toBe(stored.length > 0);
  });
});

test("a log-in token lets somebody in once", async () => {
  const { user_id } = await registered(ask, "token");
  const { userKey = 0 } = (await findAccount(hs, user_id)) ?? {};
  const devices = async () =>
    (await hs.sql`select from devices where user_key = ${userKey}`).length;
  let body = {};
  let before = 0;
  const act = async () => {
    before = await devices();
    body = { type: "m.login.token", token: await makeOneTimeToken(hs, "login", { userKey }) };
    requireDone(await askVictim("POST", "login", { body }));
  };
  await killedAnywhere(victim, act, async () => {
    const again = await ask("POST", "login", { body });
    expect([200, 403]).toContain(again.status);
    expect(await devices()).toBe(before + 1);
  });
});

test("a new password lets nobody stay in whom the old one has let in", async () => {
  let other = "";
  const act = async (round: number) => {
    const name = `changer-${round}`;
    const { access_token: token, user_id } = await registered(ask, name);
    other = (await login(ask, name)).body.access_token ?? "";
    await makeOneTimeToken(hs, "login", {
      userKey: (await findAccount(hs, user_id))?.userKey ?? 0,
    });
    const body = { ...passwordAuth(name), new_password: "another" };
    requireDone(await askVictim("POST", "account/password", { token, body }));
  };
  await killedAnywhere(victim, act, async (round) => {
    const account = await findAccount(hs, `@changer-${round}:test`);
    const isChanged = (await login(ask, `changer-${round}`, "another")).status === 200;
    expect(await whoami(other)).toBe(isChanged ? 401 : 200);
    const tokens = await hs.sql`
      select from one_time_tokens where user_key = ${account?.userKey ?? 0} and purpose = 'login'`;
    expect(tokens).toHaveLength(isChanged ? 0 : 1);
  });
});

test("who registers and has no answer is let in when they ask again", async () => {
  const bodyOf = async (round: number) => {
    const wanted = { username: `newcomer-${round}`, password: "secret" };
    const { session } = (await ask("POST", "register", { body: wanted })).body;
    return { ...wanted, auth: { type: "m.login.dummy", session } };
  };
  let body = {};
  const act = async (round: number) => {
    body = await bodyOf(round);
    requireDone(await askVictim("POST", "register", { body }));
  };
  await killedAnywhere(victim, act, async (round) => {
    const again = await ask("POST", "register", { body });
    expect(again.body).toMatchObject({ user_id: `@newcomer-${round}:test` });
  });
});
