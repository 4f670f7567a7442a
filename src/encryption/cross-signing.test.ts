import { afterAll, beforeAll, expect, test } from "vitest";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { present } from "../../spec-tests/answers.ts";
import { crossSigningKey, deviceKeysOf, signedBy, type TestKey, testKey } from "./testing.ts";

const homeservers = await testHomeservers(1, LENIENT);
afterAll(async () => await homeservers.close());
const ask = asking(homeservers.hs);

/** A user with a published device and cross-signing keys. */
type Identity = {
  readonly userId: `@${string}:${string}`;
  readonly deviceId: string;
  readonly token: string;
  readonly device: TestKey;
  readonly master: TestKey;
  readonly selfSigning: TestKey;
  readonly userSigning: TestKey;
};

function uploadOf({ userId, master, selfSigning, userSigning }: Identity) {
  return {
    master_key: crossSigningKey(userId, "master", master),
    self_signing_key: signedBy(
      crossSigningKey(userId, "self_signing", selfSigning),
      userId,
      master,
    ),
    user_signing_key: signedBy(
      crossSigningKey(userId, "user_signing", userSigning),
      userId,
      master,
    ),
  };
}

async function upload(token: string, body: object) {
  return await ask("POST", "keys/device_signing/upload", { token, body });
}

async function identity(localpart: string): Promise<Identity> {
  const {
    user_id: userId,
    device_id: deviceId,
    access_token: token,
  } = await registered(ask, localpart);
  const it = {
    userId,
    deviceId,
    token,
    device: testKey(deviceId),
    master: testKey(),
    selfSigning: testKey(),
    userSigning: testKey(),
  };
  const body = { device_keys: deviceKeysOf(it, it.device) };
  expect((await ask("POST", "keys/upload", { token, body })).status).toBe(200);
  expect((await upload(token, uploadOf(it))).status).toBe(200);
  return it;
}

async function query(token: string, userId: string) {
  return (await ask("POST", "keys/query", { token, body: { device_keys: { [userId]: [] } } })).body;
}

async function sign(token: string, body: object) {
  return await ask("POST", "keys/signatures/upload", { token, body });
}

let alice: Identity;
let bob: Identity;
beforeAll(async () => {
  alice = await identity("alice");
  bob = await identity("bob");
});

test("everybody sees who may sign a user's devices, the user alone by what they sign others", async () => {
  const { master_key, self_signing_key, user_signing_key } = uploadOf(alice);
  const own = await query(alice.token, alice.userId);
  expect(own.master_keys).toEqual({ [alice.userId]: master_key });
  expect(own.self_signing_keys).toEqual({ [alice.userId]: self_signing_key });
  expect(own.user_signing_keys).toEqual({ [alice.userId]: user_signing_key });
  const others = await query(bob.token, alice.userId);
  expect(others.master_keys).toEqual(own.master_keys);
  expect(others.self_signing_keys).toEqual(own.self_signing_keys);
  expect(others.user_signing_keys).toEqual({});
});

test("the same keys again need no proof; others do, and so does one more", async () => {
  const carol = await identity("carol");
  expect((await upload(carol.token, uploadOf(carol))).status).toBe(200);
  const next = { ...carol, master: testKey() };
  const asked = await upload(carol.token, uploadOf(next));
  expect(asked.status).toBe(401);
  const auth = {
    type: "m.login.password",
    identifier: { type: "m.id.user", user: carol.userId },
    password: "secret",
    session: asked.body.session,
  };
  expect((await upload(carol.token, { ...uploadOf(next), auth })).status).toBe(200);
  const seen = await query(bob.token, carol.userId);
  expect(seen.master_keys[carol.userId]).toEqual(uploadOf(next).master_key);
  expect(seen.self_signing_keys[carol.userId]).toEqual(uploadOf(next).self_signing_key);

  const { user_id: userId, access_token: token } = await registered(ask, "lone");
  const { master_key, self_signing_key } = uploadOf({ ...next, userId });
  expect((await upload(token, { master_key })).status).toBe(200);
  expect((await upload(token, { self_signing_key })).status).toBe(401);
});

test("keys that are not signed by the master key, malformed, or of another are refused", async () => {
  const { user_id: userId, access_token: token } = await registered(ask, "dan");
  const dan = { ...alice, userId, master: testKey() };
  const good = uploadOf(dan);
  const refusals = [
    [{ self_signing_key: good.self_signing_key }, "M_MISSING_PARAM"],
    [{ ...good, master_key: uploadOf(alice).master_key }, "M_INVALID_PARAM"],
    [
      { ...good, self_signing_key: uploadOf({ ...dan, master: testKey() }).self_signing_key },
      "M_INVALID_SIGNATURE",
    ],
    [
      { ...good, user_signing_key: { ...good.user_signing_key, usage: ["master"] } },
      "M_INVALID_PARAM",
    ],
    [{ master_key: { ...good.master_key, keys: {} } }, "M_INVALID_PARAM"],
    [{ master_key: { ...good.master_key, keys: { "ed25519:x": "y" } } }, "M_INVALID_PARAM"],
    [{ master_key: 1 }, "M_BAD_JSON"],
  ] as const;
  for (const [body, errcode] of refusals) {
    const { status, body: answer } = await upload(token, body);
    expect([status, answer.errcode]).toEqual([400, errcode]);
  }
  expect((await query(token, userId)).master_keys).toEqual({});
});

test("signatures are verified, and shown to those who may see them", async () => {
  const before = (await ask("GET", "sync", { token: alice.token })).body.next_batch;
  const bare = deviceKeysOf(alice, alice.device);
  const published = (await query(alice.token, alice.userId)).device_keys;
  const { unsigned: _, ...device } = present(published[alice.userId]?.[alice.deviceId]);
  const { master_key: ownMaster } = uploadOf(alice);
  const { master_key: bobsMaster } = uploadOf(bob);
  const unsigned = { ...device, signatures: {} };
  const body = {
    [alice.userId]: {
      [alice.deviceId]: signedBy(unsigned, alice.userId, alice.selfSigning),
      [alice.master.publicKey]: signedBy(ownMaster, alice.userId, alice.device),
    },
    [bob.userId]: { [bob.master.publicKey]: signedBy(bobsMaster, alice.userId, alice.userSigning) },
  };
  expect((await sign(alice.token, body)).body).toEqual({ failures: {} });

  const asSeen = async (token: string, userId: string, deviceId?: string) => {
    const { device_keys: devices, master_keys: masters } = await query(token, userId);
    const its = deviceId ? devices[userId]?.[deviceId] : masters[userId];
    return Object.values(present(its).signatures ?? {})
      .flatMap((it) => Object.keys(it))
      .toSorted();
  };
  const byDevice = alice.device.key.keyId;
  const bySelf = alice.selfSigning.key.keyId;
  expect(await asSeen(bob.token, alice.userId, alice.deviceId)).toEqual(
    [byDevice, bySelf].toSorted(),
  );
  expect(await asSeen(bob.token, alice.userId)).toEqual([byDevice]);
  expect(await asSeen(alice.token, bob.userId)).toEqual([alice.userSigning.key.keyId]);
  expect(await asSeen(bob.token, bob.userId)).toEqual([]);

  const path = `sync?since=${before}`;
  const { device_lists: lists } = (await ask("GET", path, { token: alice.token })).body;
  expect(lists?.changed?.toSorted()).toEqual([alice.userId, bob.userId].toSorted());

  const other = { ...bare, algorithms: [] };
  const wrong = {
    [alice.userId]: {
      [alice.deviceId]: signedBy(other, alice.userId, alice.selfSigning),
      GONE: signedBy({ ...device, device_id: "GONE" }, alice.userId, alice.selfSigning),
      [alice.master.publicKey]: signedBy(ownMaster, alice.userId, alice.userSigning),
    },
    [bob.userId]: {
      [bob.master.publicKey]: {
        ...bobsMaster,
        signatures: { [alice.userId]: { [alice.userSigning.key.keyId]: "AAAA" } },
      },
      [bob.deviceId]: signedBy(unsigned, alice.userId, alice.userSigning),
    },
  };
  const { failures } = (await sign(alice.token, wrong)).body;
  expect(failures).toMatchObject({
    [alice.userId]: {
      [alice.deviceId]: { errcode: "M_INVALID_SIGNATURE" },
      GONE: { errcode: "M_NOT_FOUND" },
      [alice.master.publicKey]: { errcode: "M_INVALID_SIGNATURE" },
    },
    [bob.userId]: {
      [bob.master.publicKey]: { errcode: "M_INVALID_SIGNATURE" },
      [bob.deviceId]: { errcode: "M_NOT_FOUND" },
    },
  });
});

test("what an old key has signed goes with it", async () => {
  const erin = await identity("erin");
  const { unsigned: _, ...device } = present(
    (await query(erin.token, erin.userId)).device_keys[erin.userId]?.[erin.deviceId],
  );
  const signedDevice = signedBy({ ...device, signatures: {} }, erin.userId, erin.selfSigning);
  const signedMaster = signedBy(uploadOf(bob).master_key, erin.userId, erin.userSigning);
  await sign(erin.token, {
    [erin.userId]: { [erin.deviceId]: signedDevice },
    [bob.userId]: { [bob.master.publicKey]: signedMaster },
  });
  const next = { ...erin, master: testKey(), selfSigning: testKey(), userSigning: testKey() };
  const auth = {
    type: "m.login.password",
    identifier: { type: "m.id.user", user: erin.userId },
    password: "secret",
  };
  expect((await upload(erin.token, { ...uploadOf(next), auth })).status).toBe(200);
  const own = await query(erin.token, erin.userId);
  const signatures = present(own.device_keys[erin.userId]?.[erin.deviceId]).signatures[erin.userId];
  expect(Object.keys(signatures ?? {})).toEqual([erin.device.key.keyId]);
  const bobs = await query(erin.token, bob.userId);
  expect(present(bobs.master_keys[bob.userId]).signatures ?? {}).toEqual({});
});
