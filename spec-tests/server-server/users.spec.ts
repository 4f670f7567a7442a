import { describe, expect, test } from "vitest";
import { refusal } from "../client-server/client.ts";
import { crossSigningKey, deviceKeys, newPair, oneTimeKey } from "../client-server/signing.ts";
import { E, federatingHomeserver, good, openPeer, V1 } from "./peer.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");
const pair = newPair();
const keys = deviceKeys(alice, pair);
const oneTime = { "signed_curve25519:AAAA": oneTimeKey(alice, pair) };
const fallback = { "signed_curve25519:BBBB": oneTimeKey(alice, pair, { fallback: true }) };
await alice.call("POST", "/v3/keys/upload", {
  device_keys: keys,
  one_time_keys: oneTime,
  fallback_keys: fallback,
});
const [master, self, user] = [newPair(), newPair(), newPair()];
const crossSigning = {
  master_key: crossSigningKey(alice.userId, "master", { pair: master }),
  self_signing_key: crossSigningKey(alice.userId, "self_signing", { pair: self, by: master }),
  user_signing_key: crossSigningKey(alice.userId, "user_signing", { pair: user, by: master }),
};
await alice.call("POST", "/v3/keys/device_signing/upload", {
  ...crossSigning,
  auth: {
    type: "m.login.password",
    identifier: { type: "m.id.user", user: alice.userId },
    password: alice.password,
  },
});

/** @spec server-server-api#get_matrixfederationv1userdevicesuserid */
describe("getUserDevices", () => {
  const ask = async (userId: string) => await peer.ask("GET", `${V1}/user/devices/${E(userId)}`);

  test("gives a user's devices and keys, and by which number they go", async () => {
    const answer = good(await ask(alice.userId));
    expect(answer).toMatchObject({
      user_id: alice.userId,
      devices: [{ device_id: alice.deviceId, keys }],
      master_key: { keys: crossSigning.master_key.keys },
      self_signing_key: { keys: crossSigning.self_signing_key.keys },
    });
    expect(answer).not.toHaveProperty("user_signing_key");
    await hs.logIn(alice);
    expect(good(await ask(alice.userId)).stream_id).toBeGreaterThanOrEqual(answer.stream_id);
  });

  test("knows users of this server alone", async () => {
    for (const userId of ["@nobody:hs.test", "@x:other.test", "x"]) {
      const answer = await ask(userId);
      // Of a user who is not there it may be said that they have no devices.
      const { devices = [] } = answer.body;
      expect([[200, 400, 403, 404].includes(answer.status), devices]).toEqual([true, []]);
    }
  });
});

/** @spec server-server-api#post_matrixfederationv1userkeysquery */
describe("queryUserEncryptionKeys", () => {
  const query = async (device_keys: unknown) =>
    await peer.ask("POST", `${V1}/user/keys/query`, { device_keys });

  test("gives the keys of devices, all or those that are named", async () => {
    const answer = good(await query({ [alice.userId]: [] }));
    expect(answer.device_keys[alice.userId]?.[alice.deviceId]).toMatchObject(keys);
    expect(answer.master_keys[alice.userId]?.keys).toEqual(crossSigning.master_key.keys);
    expect(Object.keys(answer.self_signing_keys)).toEqual([alice.userId]);
    expect(answer).not.toHaveProperty("user_signing_keys");
    const other = good(await query({ [alice.userId]: ["OTHER"] }));
    expect(other.device_keys[alice.userId] ?? {}).toEqual({});
  });

  test("is about users of this server, and takes no nonsense", async () => {
    expect(await query({ "@x:other.test": [] })).toMatchObject({ status: 400 });
    for (const wrong of [null, [], { [alice.userId]: {} }, { [alice.userId]: [1] }]) {
      expect(await query(wrong)).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
  });
});

/** @spec server-server-api#post_matrixfederationv1userkeysclaim */
describe("claimUserEncryptionKeys", () => {
  const claim = async (one_time_keys: unknown) =>
    await peer.ask("POST", `${V1}/user/keys/claim`, { one_time_keys });
  const wanted = { [alice.userId]: { [alice.deviceId]: "signed_curve25519" } };

  test("gives each key once, and then the one that is for when there is none", async () => {
    const given = async () =>
      good(await claim(wanted)).one_time_keys[alice.userId]?.[alice.deviceId];
    expect(await given()).toEqual(oneTime);
    expect(await given()).toEqual(fallback);
    expect(await given()).toEqual(fallback);
  });

  test("gives nothing where nothing is, and takes no nonsense", async () => {
    const none = good(await claim({ [alice.userId]: { NONE: "signed_curve25519" } }));
    expect(none.one_time_keys[alice.userId] ?? {}).toEqual({});
    for (const wrong of [null, [], { [alice.userId]: [] }]) {
      expect(await claim(wrong)).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
    expect(await claim({ "@x:other.test": { A: "signed_curve25519" } })).toMatchObject({
      status: 400,
    });
  });
});
