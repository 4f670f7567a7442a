import { afterAll, expect, test } from "vitest";
import { changeAccount } from "#src/auth/accounts-stream.ts";
import { createDevice } from "#src/devices/create-device.ts";
import { listDevices } from "#src/devices/list-devices.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { accountByPassword, logIn } from "./log-in.ts";

const homes = await testHomeservers(2, LENIENT);
const { hs } = homes;
const asks = homes.all.map(asking) as [Ask, Ask];
const [ask] = asks;
afterAll(async () => await homes.close());

const SAME = { device_id: "SAME" };
const login = async (user: string, further: object = {}, here = ask) =>
  await here("POST", "login", {
    body: { type: "m.login.password", user, password: "secret", ...further },
  });
const auth = (user: string) => ({ type: "m.login.password", user, password: "secret" });

/** Somebody whose password has been found right, and who is not logged in yet. */
async function admitted(username: string) {
  const { access_token: token } = await registered(ask, username);
  const account = await accountByPassword(hs, { user: username }, "secret");
  return { token, account, goOn: async () => await logIn(hs, account, { refreshable: false }) };
}

test("a device that is logged in to while it is logged out is one or the other", async () => {
  await registered(ask, "hasty");
  const statuses = new Set<number>();
  for (let round = 0; round < 15; round++) {
    const { access_token: token } = (await login("hasty", SAME)).body;
    const answers = await Promise.all([
      ask("POST", "logout", { token, body: {} }),
      ...[0, 1, 0, 1].map(async (at) => await login("hasty", SAME, asks[at])),
      asks[1]("POST", "logout/all", { token, body: {} }),
    ]);
    for (const { status } of answers) statuses.add(status);
  }
  expect([...statuses].filter((it) => it !== 200 && it !== 401)).toEqual([]);
});

test("of two who log in to a device at the same moment, one stays", async () => {
  const { account } = await admitted("twins");
  const { deviceKey } = await createDevice(hs, account, { deviceId: "SAME" });
  const device = { deviceId: "SAME", refreshable: false };
  const issue = async (at: number) => await logIn(homes.all[at] ?? hs, account, device);
  await issue(0);
  const waiting = async () =>
    (
      await hs.sql`
        select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`
    ).length;

  // Both find the tokens that are to end, and neither can end them yet.
  let both: Promise<unknown> = Promise.resolve();
  await hs.sql.begin(async (tx) => {
    await tx`select 1 from access_tokens where device_key = ${deviceKey} for update`;
    both = Promise.all([issue(0), issue(1)]);
    await expect.poll(waiting).toBe(2);
  });
  await both;
  expect(await hs.sql`select 1 from access_tokens where device_key = ${deviceKey}`).toHaveLength(1);
});

test("a password that is replaced lets nobody in any more, whoever has shown it before", async () => {
  const { token, account, goOn } = await admitted("robbed");
  const path = "/_matrix/client/v1/login/get_token";
  const shown = await ask("POST", path, { token, body: { auth: auth("robbed") } });
  const body = { auth: auth("robbed"), new_password: "another" };
  expect((await ask("POST", "account/password", { token, body })).status).toBe(200);

  await expect(goOn()).rejects.toMatchObject({ errcode: "M_FORBIDDEN" });
  const byToken = { type: "m.login.token", token: shown.body.login_token };
  expect((await ask("POST", "login", { body: byToken })).status).toBe(403);
  expect(await listDevices(hs, account)).toHaveLength(1);
  expect((await login("robbed", { password: "another" })).status).toBe(200);
});

test("a deactivated account lets nobody in, whoever has shown its password before", async () => {
  const { token, account, goOn } = await admitted("gone");
  const body = { auth: auth("gone") };
  expect((await ask("POST", "account/deactivate", { token, body })).status).toBe(200);
  await expect(goOn()).rejects.toMatchObject({ errcode: "M_FORBIDDEN" });
  expect(await listDevices(hs, account)).toEqual([]);
});

test("a locked account lets nobody in, whoever has shown its password before", async () => {
  const { account, goOn } = await admitted("shut");
  await changeAccount(hs, account.userKey, { isLocked: true });
  await expect(goOn()).rejects.toMatchObject({ errcode: "M_USER_LOCKED" });
  expect(await listDevices(hs, account)).toHaveLength(1);
});
