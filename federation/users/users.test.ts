import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deviceKeysOf, crossSigningKey, oneTimeKeys, testKey } from "#src/encryption/testing.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { asking, type Ask, registered } from "#src/testing-http.ts";
import { present } from "../../spec-tests/answers.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let hs2: FederatedHomeserver;
let ask1: Ask;
let ask2: Ask;
let alice: { access_token: string; user_id: UserId; device_id: string };
let bob: typeof alice;
/** What the second server asks the first. */
let remotes: Remotes;

beforeAll(async () => {
  hs1 = await federation.open();
  hs2 = await federation.open({ host: "hs2.test" });
  [ask1, ask2] = [asking(hs1.hs), asking(hs2.hs)];
  alice = await registered(ask1, "alice");
  bob = await registered(ask2, "bob");
  ({ remotes } = hs2.hs);
});
afterAll(async () => await federation.close());

const deviceOf = (user: typeof alice) =>
  deviceKeysOf({ userId: user.user_id, deviceId: user.device_id });

describe("other servers are told", () => {
  test("of a user's devices with keys, and by which number it goes", async () => {
    const before = await remotes.getUserDevices(hs1.name, { userId: alice.user_id });
    expect(before).toMatchObject({ ok: true, body: { user_id: alice.user_id, devices: [] } });
    const device_keys = deviceOf(alice);
    await ask1("POST", "keys/upload", { token: alice.access_token, body: { device_keys } });
    const master = testKey();
    const master_key = crossSigningKey(alice.user_id, "master", master);
    await ask1("POST", "keys/device_signing/upload", {
      token: alice.access_token,
      body: { master_key },
    });
    const after = await remotes.getUserDevices(hs1.name, { userId: alice.user_id });
    if (!after.ok || !before.ok) throw new Error("no answer");
    expect(after.body).toMatchObject({
      devices: [{ device_id: alice.device_id, keys: device_keys }],
      master_key,
    });
    expect(after.body.stream_id).toBeGreaterThan(before.body.stream_id);
    const keys = await remotes.queryUserEncryptionKeys(hs1.name, {
      device_keys: { [alice.user_id]: [] },
    });
    if (!keys.ok) throw new Error("no answer");
    expect(keys.body.device_keys.get(alice.user_id)?.get(alice.device_id)).toEqual(device_keys);
    expect(keys.body.master_keys.get(alice.user_id)).toMatchObject(master_key);
  });

  test("nothing of what devices are called, and of users that are not ours or not there", async () => {
    const path = `devices/${alice.device_id}`;
    const body = { display_name: "Alice's telephone" };
    await ask1("PUT", path, { token: alice.access_token, body });
    const device_keys = { [alice.user_id]: [alice.device_id] };
    const answers = [
      await remotes.getUserDevices(hs1.name, { userId: alice.user_id }),
      await remotes.queryUserEncryptionKeys(hs1.name, { device_keys }),
    ];
    expect(answers.map((it) => it.ok)).toEqual([true, true]);
    expect(JSON.stringify(answers)).not.toContain("telephone");
    const nobody: UserId = `@nobody:${hs1.name}`;
    expect(await remotes.getUserDevices(hs1.name, { userId: nobody })).toMatchObject({
      status: 404,
      errcode: "M_NOT_FOUND",
    });
    const refused = { status: 400, errcode: "M_INVALID_PARAM" };
    expect(await remotes.getUserDevices(hs1.name, { userId: bob.user_id })).toMatchObject(refused);
    expect(
      await remotes.queryUserEncryptionKeys(hs1.name, { device_keys: { [bob.user_id]: [] } }),
    ).toMatchObject(refused);
    expect(await remotes.queryProfile(hs1.name, { user_id: bob.user_id })).toMatchObject(refused);
    expect(await remotes.queryProfile(hs1.name, { user_id: nobody })).toMatchObject({
      errcode: "M_NOT_FOUND",
    });
  });

  test("of profiles: all of one, or one field", async () => {
    const { access_token: token, user_id } = alice;
    const body = { displayname: "Alice" };
    await ask1("PUT", `profile/${user_id}/displayname`, { token, body });
    await ask1("PUT", `profile/${user_id}/m.tz`, { token, body: { "m.tz": "Europe/Rome" } });
    expect(await remotes.queryProfile(hs1.name, { user_id })).toEqual({
      ok: true,
      body: { displayname: "Alice", "m.tz": "Europe/Rome" },
    });
    const asked = { user_id, field: "displayname" };
    expect(await remotes.queryProfile(hs1.name, asked)).toMatchObject({ body });
    const other = { user_id, field: "avatar_url" };
    expect(await remotes.queryProfile(hs1.name, other)).toEqual({ ok: true, body: {} });
  });
});

describe("clients are told of users of other servers", () => {
  test("their profiles", async () => {
    const path = `profile/${alice.user_id}`;
    expect((await ask2("GET", path)).body).toMatchObject({ displayname: "Alice" });
    expect((await ask2("GET", `${path}/displayname`)).body).toEqual({ displayname: "Alice" });
    const unset = await ask2("GET", `${path}/avatar_url`);
    expect([unset.status, unset.body]).toEqual([200, {}]);
    expect(await ask2("GET", `${path}/no.such`)).toMatchObject({ status: 404 });
    expect(await ask2("GET", `profile/@nobody:${hs1.name}`)).toMatchObject({
      status: 404,
      body: { errcode: "M_NOT_FOUND" },
    });
    expect(await ask2("GET", "profile/@nobody:nowhere.test")).toMatchObject({
      status: 404,
      body: { errcode: "M_NOT_FOUND" },
    });
  });

  test("a one-time key of each device, once", async () => {
    const { access_token: token, user_id, device_id } = alice;
    const one_time_keys = oneTimeKeys(["A", "B"]);
    await ask1("POST", "keys/upload", { token, body: { one_time_keys } });
    const claim = async () =>
      await ask2("POST", "keys/claim", {
        token: bob.access_token,
        body: {
          one_time_keys: {
            [user_id]: { [device_id]: "signed_curve25519", NOTHING: "signed_curve25519" },
            "@x:nowhere.test": { X: "signed_curve25519" },
          },
        },
      });
    const claimed = [(await claim()).body, (await claim()).body, (await claim()).body];
    const given = claimed.map((it) => it.one_time_keys[user_id]?.[device_id]);
    expect({ ...given[0], ...given[1] }).toEqual(one_time_keys);
    expect(given[2]).toBeUndefined();
    expect(Object.keys(claimed[0]?.failures ?? {})).toEqual(["nowhere.test"]);
  });

  test("the keys of those with whom no room is shared, though they are not kept", async () => {
    const { user_id, device_id } = alice;
    const query = async () =>
      (
        await ask2("POST", "keys/query", {
          token: bob.access_token,
          body: { device_keys: { [user_id]: [], [bob.user_id]: [], "@x:nowhere.test": [] } },
        })
      ).body;
    const first = await query();
    expect(first.device_keys[user_id]).toMatchObject({
      [device_id]: { user_id, device_id, unsigned: {} },
    });
    expect(first.master_keys[user_id]).toMatchObject({ usage: ["master"] });
    expect(first.device_keys[bob.user_id]).toEqual({});
    expect(Object.keys(first.failures)).toEqual(["nowhere.test"]);
    const { access_token: token } = alice;
    await ask1("POST", "keys/upload", { token, body: { device_keys: deviceOf(alice) } });
    const second = await query();
    const keysIn = ({ device_keys }: typeof first) =>
      present(device_keys[user_id]?.[device_id]).keys;
    expect(keysIn(second)).not.toEqual(keysIn(first));
    const [kept] = await hs2.hs.sql`select count(*) as count from remote_device_lists`;
    expect(kept).toEqual({ count: 0 });
  });
});
