import { describe, expect, test } from "vitest";
import { present, type SyncAnswer } from "../answers.ts";
import { PROCESSES } from "../shared-homeservers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";
import { crossSigningKey, deviceKeys, newPair, oneTimeKey, signed } from "./signing.ts";

const hs = await homeserver();
const limited = await homeserver({
  ARCHIPEL_RATE_LIMITS_ENABLED: "true",
  ARCHIPEL_RATE_LIMITS_DEFAULT_BURST: "30",
  ARCHIPEL_RATE_LIMITS_DEFAULT_PER_SECOND: "0.001",
});
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const authOf = ({ userId, password }: TestUser) => ({
  type: "m.login.password",
  identifier: { type: "m.id.user", user: userId },
  password,
});
const notFound = refusal(404, "M_NOT_FOUND");

/** @spec client-server-api#get_matrixclientv3devices */
describe("getDevices", () => {
  test("lists one's own devices", async () => {
    const other = await hs.logIn(alice, { initial_device_display_name: "Phone" });
    const { body } = await alice.call("GET", "/v3/devices");
    expect(body.devices.map((it) => it.device_id).toSorted()).toEqual(
      [alice.deviceId, other.deviceId].toSorted(),
    );
  });
});

/** @spec client-server-api#get_matrixclientv3devicesdeviceid */
describe("getDevice", () => {
  test("tells of a device of one's own, and of no other", async () => {
    const path = `/v3/devices/${alice.deviceId}`;
    expect((await alice.call("GET", path)).body.device_id).toBe(alice.deviceId);
    expect(await bob.call("GET", path)).toMatchObject(notFound);
  });
});

/** @spec client-server-api#put_matrixclientv3devicesdeviceid */
describe("updateDevice", () => {
  test("gives a device of one's own a name", async () => {
    const path = `/v3/devices/${alice.deviceId}`;
    const body = { display_name: "Laptop" };
    expect(await alice.call("PUT", path, body)).toMatchObject({ status: 200, body: {} });
    expect((await alice.call("GET", path)).body.display_name).toBe("Laptop");
    expect(await bob.call("PUT", path, body)).toMatchObject(notFound);
  });
});

const DELETIONS = [
  ["deleteDevice", "DELETE", (id: string) => `/v3/devices/${id}`, () => ({})],
  ["deleteDevices", "POST", () => "/v3/delete_devices", (id: string) => ({ devices: [id] })],
] as const;

/** @spec client-server-api#delete_matrixclientv3devicesdeviceid */
describe.each(DELETIONS)("%s", (_, method, pathOf, bodyOf) => {
  test("ends a device, after the password was given", async () => {
    const { deviceId, token } = await hs.logIn(bob);
    const delete_ = async (further: object) =>
      await bob.call(method, pathOf(deviceId), { ...bodyOf(deviceId), ...further });
    const asked = await delete_({});
    expect(asked).toMatchObject({
      status: 401,
      body: { flows: [{ stages: ["m.login.password"] }] },
    });
    const auth = { ...authOf(bob), session: asked.body.session };
    const wrong = await delete_({ auth: { ...auth, password: "wrong" } });
    expect(wrong).toMatchObject({ status: 401, body: { errcode: "M_FORBIDDEN" } });
    expect((await hs.request("GET", "/v3/account/whoami", { token })).status).toBe(200);
    expect(await delete_({ auth })).toMatchObject({ status: 200, body: {} });
    expect((await hs.request("GET", "/v3/account/whoami", { token })).status).toBe(401);
  });
});

/** @spec client-server-api#put_matrixclientv3sendtodeviceeventtypetxnid */
describe("sendToDevice", () => {
  test("brings a message to a device once, or to all of them", async () => {
    const other = await hs.logIn(bob);
    const send = async (txnId: string, deviceId: string, n: number) =>
      await alice.call("PUT", `/v3/sendToDevice/org.example.note/${txnId}`, {
        messages: { [bob.userId]: { [deviceId]: { n } } },
      });
    expect(await send("1", bob.deviceId, 1)).toMatchObject({ status: 200, body: {} });
    await send("1", bob.deviceId, 1);
    await send("2", "*", 2);
    const messages = (answer: SyncAnswer) =>
      (answer.to_device?.events ?? []).map((it) => it.content["n"]);
    const got = await bob.syncUntil((it) => messages(it).includes(2));
    expect(messages(got)).toEqual([1, 2]);
    expect(got.to_device?.events[0]).toMatchObject({
      type: "org.example.note",
      sender: alice.userId,
    });
    expect(messages(await other.sync())).toEqual([2]);
    expect(messages(await bob.sync({ since: got.next_batch }))).toEqual([]);
  });
});

const pair = newPair();
const keys = deviceKeys(alice, pair);
const query = async (user: TestUser, userId: string) =>
  (await user.call("POST", "/v3/keys/query", { device_keys: { [userId]: [] } })).body;

/** @spec client-server-api#post_matrixclientv3keysupload */
describe("uploadKeys", () => {
  test("takes the keys of a device, and counts those to be used once", async () => {
    const one_time_keys = {
      "signed_curve25519:A": oneTimeKey(alice, pair),
      "signed_curve25519:B": oneTimeKey(alice, pair),
    };
    const body = { device_keys: keys, one_time_keys };
    expect((await alice.call("POST", "/v3/keys/upload", body)).body).toEqual({
      one_time_key_counts: { signed_curve25519: 2 },
    });
    expect((await alice.call("POST", "/v3/keys/upload", body)).status).toBe(200);
    const other = { "signed_curve25519:A": oneTimeKey(alice, pair) };
    const changed = await alice.call("POST", "/v3/keys/upload", { one_time_keys: other });
    expect(changed.status).toBe(400);
  });

  test("takes no keys of another device", async () => {
    const answer = await bob.call("POST", "/v3/keys/upload", { device_keys: keys });
    expect(answer.status).toBeOneOf([400, 403]);
    expect((await query(alice, bob.userId)).device_keys[bob.userId] ?? {}).toEqual({});
  });
});

/** @spec client-server-api#post_matrixclientv3keysquery */
describe("queryKeys", () => {
  test("answers with the keys of a user's devices as they were signed", async () => {
    const { device_keys, failures } = await query(bob, alice.userId);
    const { unsigned, ...found } = present(device_keys[alice.userId]?.[alice.deviceId]);
    expect(found).toEqual(keys);
    expect(unsigned?.["device_display_name"]).toBe("Laptop");
    expect(failures).toEqual({});
  });
});

/** @spec client-server-api#post_matrixclientv3keysclaim */
describe("claimKeys", () => {
  test("gives each key once, in order, and then the fallback key again and again", async () => {
    const fallback_keys = { "signed_curve25519:F": oneTimeKey(alice, pair, { fallback: true }) };
    await alice.call("POST", "/v3/keys/upload", { fallback_keys });
    const wanted = { [alice.userId]: { [alice.deviceId]: "signed_curve25519" } };
    const claim = async () => {
      const { body } = await bob.call("POST", "/v3/keys/claim", { one_time_keys: wanted });
      return Object.keys(body.one_time_keys[alice.userId]?.[alice.deviceId] ?? {})[0];
    };
    const got = [await claim(), await claim(), await claim(), await claim()];
    expect(got).toEqual(["A", "B", "F", "F"].map((it) => `signed_curve25519:${it}`));
    const synced = await alice.sync();
    expect(synced.device_one_time_keys_count).toMatchObject({ signed_curve25519: 0 });
    expect(synced.device_unused_fallback_key_types).toEqual([]);
  });
});

/** @spec client-server-api#get_matrixclientv3keyschanges */
describe("getKeysChanges", () => {
  test("says whose devices have changed, of those one shares a room with", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.call("POST", `/v3/join/${roomId}`, {});
    const from = (await bob.sync()).next_batch;
    await hs.logIn(alice);
    await alice.call("POST", "/v3/keys/upload", {
      device_keys: keys,
      one_time_keys: { "signed_curve25519:C": oneTimeKey(alice, pair) },
    });
    const other = await hs.logIn(alice);
    await other.call("POST", "/v3/keys/upload", { device_keys: deviceKeys(other, newPair()) });
    const to = (await bob.sync()).next_batch;
    const { body } = await bob.call("GET", `/v3/keys/changes?from=${from}&to=${to}`);
    expect(body.changed).toEqual([alice.userId]);
    expect(await bob.call("GET", `/v3/keys/changes?to=${to}`)).toMatchObject(
      refusal(400, "M_MISSING_PARAM"),
    );
    expect(await bob.call("GET", "/v3/keys/changes?from=x&to=y")).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });
});

const [master, selfSigning, userSigning] = [newPair(), newPair(), newPair()];
const crossSigning = {
  master_key: crossSigningKey(alice.userId, "master", { pair: master }),
  self_signing_key: crossSigningKey(alice.userId, "self_signing", {
    pair: selfSigning,
    by: master,
  }),
  user_signing_key: crossSigningKey(alice.userId, "user_signing", {
    pair: userSigning,
    by: master,
  }),
};

/** @spec client-server-api#post_matrixclientv3keysdevice_signingupload */
describe("uploadCrossSigningKeys", () => {
  const PATH = "/v3/keys/device_signing/upload";

  test("takes the first keys as they come, and others after the password was given", async () => {
    expect(await alice.call("POST", PATH, crossSigning)).toMatchObject({ status: 200, body: {} });
    expect((await alice.call("POST", PATH, crossSigning)).status).toBe(200);
    const other = crossSigningKey(alice.userId, "master", { pair: newPair() });
    const asked = await alice.call("POST", PATH, { master_key: other });
    expect(asked).toMatchObject({
      status: 401,
      body: { flows: [{ stages: ["m.login.password"] }] },
    });
    const found = await query(bob, alice.userId);
    expect(found.master_keys[alice.userId]).toEqual(crossSigning.master_key);
    expect(found.self_signing_keys[alice.userId]).toEqual(crossSigning.self_signing_key);
    expect(found.user_signing_keys?.[alice.userId]).toBeUndefined();
    const own = await query(alice, alice.userId);
    expect(own.user_signing_keys?.[alice.userId]).toEqual(crossSigning.user_signing_key);
  });

  test("refuses keys that the first did not sign", async () => {
    const [first, second] = [newPair(), newPair()];
    const answer = await bob.call("POST", PATH, {
      master_key: crossSigningKey(bob.userId, "master", { pair: first }),
      self_signing_key: crossSigningKey(bob.userId, "self_signing", { pair: second, by: second }),
    });
    expect(answer).toMatchObject(refusal(400, "M_INVALID_SIGNATURE"));
  });
});

/** @spec client-server-api#post_matrixclientv3keyssignaturesupload */
describe("uploadCrossSigningSignatures", () => {
  test("adds what is signed well, and says what is not", async () => {
    const upload = async (object: object) =>
      (
        await alice.call("POST", "/v3/keys/signatures/upload", {
          [alice.userId]: { [alice.deviceId]: object },
        })
      ).body;
    const name = selfSigning.publicKey;
    const good = signed(keys, alice.userId, { name, pair: selfSigning });
    expect((await upload(good)).failures).toEqual({});
    const found = (await query(bob, alice.userId)).device_keys[alice.userId]?.[alice.deviceId];
    expect(found?.signatures[alice.userId]).toHaveProperty([`ed25519:${name}`]);
    const bad = signed(keys, alice.userId, { name, pair: newPair() });
    const { failures } = await upload(bad);
    expect(failures[alice.userId]?.[alice.deviceId]?.errcode).toBe("M_INVALID_SIGNATURE");
  });
});

// Each of several processes gives out its share of a limit.
test.runIf(PROCESSES === 1)(
  "who sends messages to many devices at once waits as long as who sends them one by one",
  async () => {
    const mallory = await limited.registerUser("mallory");
    const devices = Array.from({ length: 3_000 }, (_, n): [string, object] => [`D${n}`, {}]);
    const messages = { [mallory.userId]: Object.fromEntries(devices) };
    const send = async (txnId: string) =>
      await mallory.call("PUT", `/v3/sendToDevice/org.example/${txnId}`, { messages });
    expect((await send("t1")).status).toBe(200);
    expect(await send("t2")).toMatchObject(refusal(429, "M_LIMIT_EXCEEDED"));
  },
);
