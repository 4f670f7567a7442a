import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { ClientEvent } from "../answers.ts";
import { type Answer, homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const DEVICE = "/unstable/org.matrix.msc3814.v1/dehydrated_device";

const bodyOf = (user: TestUser, deviceId: string) => ({
  device_id: deviceId,
  initial_device_display_name: "sleeping",
  device_data: { algorithm: "m.dehydration.v2", device_pickle: "secret", nonce: "once" },
  device_keys: {
    user_id: user.userId,
    device_id: deviceId,
    algorithms: ["m.olm.v1.curve25519-aes-sha2"],
    keys: { [`ed25519:${deviceId}`]: "x", [`curve25519:${deviceId}`]: "y" },
    signatures: {},
    dehydrated: true,
  },
  one_time_keys: { "signed_curve25519:AAAA": { key: "k", signatures: {} } },
  fallback_keys: { "signed_curve25519:FFFF": { key: "f", fallback: true, signatures: {} } },
});
const dehydrate = async (user: TestUser, deviceId: string) =>
  await user.call("PUT", DEVICE, bodyOf(user, deviceId));
const sendTo = async (by: TestUser, to: TestUser, deviceId: string, count: number) => {
  for (let n = 0; n < count; n++) {
    const messages = { [to.userId]: { [deviceId]: { n } } };
    await by.call("PUT", `/v3/sendToDevice/org.example/${randomUUID()}`, { messages });
  }
};
type Messages = { readonly events: readonly ClientEvent[]; readonly next_batch: string };
const numbers = (answer: Answer<Messages>) => answer.body.events.map((it) => it.content["n"]);

/** MSC3814. */
describe("putDehydratedDevice", () => {
  test("keeps a device that others can send to, in place of the one before", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    expect(await dehydrate(alice, "ONE")).toMatchObject({
      status: 200,
      body: { device_id: "ONE" },
    });
    await dehydrate(alice, "TWO");
    const asked = { device_keys: { [alice.userId]: [] } };
    const { device_keys } = (await bob.call("POST", "/v3/keys/query", asked)).body;
    expect(Object.keys(device_keys[alice.userId] ?? {})).toEqual(["TWO"]);
    expect(device_keys[alice.userId]?.["TWO"]).toMatchObject({ dehydrated: true });
    const claim = { one_time_keys: { [alice.userId]: { TWO: "signed_curve25519" } } };
    const claimed = (await bob.call("POST", "/v3/keys/claim", claim)).body.one_time_keys;
    expect(Object.keys(claimed[alice.userId]?.["TWO"] ?? {})).toEqual(["signed_curve25519:AAAA"]);
    expect((await alice.call("GET", DEVICE)).body.device_id).toBe("TWO");
  });

  test("says nothing of the device that asks, whoever takes the other away meanwhile", async () => {
    const alice = await hs.registerUser("alice");
    for (let round = 0; round < 6; round++) {
      await dehydrate(alice, "ONE");
      const answers = await Promise.all(
        Array.from({ length: 12 }, async (_, at) =>
          at % 2 ? await dehydrate(alice, "ONE") : await alice.call("DELETE", DEVICE),
        ),
      );
      const statuses = new Set(answers.map((it) => it.status));
      expect(statuses.difference(new Set([200, 400, 404, 409]))).toEqual(new Set());
    }
  });

  test("takes no device that is logged in, and no keys of another", async () => {
    const alice = await hs.registerUser("alice");
    expect(await dehydrate(alice, alice.deviceId)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const other = { ...bodyOf(alice, "X"), device_id: "Y" };
    expect((await alice.call("PUT", DEVICE, other)).status).toBe(400);
    const { device_keys: _, ...without } = bodyOf(alice, "X");
    expect((await alice.call("PUT", DEVICE, without)).status).toBe(400);
    const { devices } = (await alice.call("GET", "/v3/devices")).body;
    expect(devices.map((it) => it.device_id)).toEqual([alice.deviceId]);
  });
});

describe("login", () => {
  const login = async (user: TestUser, device_id: string) =>
    await hs.request("POST", "/v3/login", {
      body: {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: user.userId },
        password: user.password,
        device_id,
      },
    });

  test("is not on a dehydrated device, whose keys are another's", async () => {
    const alice = await hs.registerUser("alice");
    await dehydrate(alice, "ASLEEP");
    expect(await login(alice, "ASLEEP")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect((await alice.call("GET", DEVICE)).body.device_id).toBe("ASLEEP");
    await alice.call("DELETE", DEVICE);
    expect(await login(alice, "ASLEEP")).toMatchObject({ status: 200 });
  });

  test("is either on a device, or that is dehydrated, if both are asked at once", async () => {
    const alice = await hs.registerUser("alice");
    for (let round = 0; round < 8; round++) {
      const id = `D${round}`;
      const both = await Promise.all([dehydrate(alice, id), login(alice, id)]);
      expect(both.map((it) => it.status).toSorted((a, b) => a - b)).toEqual([200, 400]);
      await alice.call("DELETE", DEVICE);
    }
  });
});

describe("getDehydratedDevice", () => {
  test("gives the secrets back, to the user alone", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    expect(await alice.call("GET", DEVICE)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    await dehydrate(alice, "SLEEPS");
    const { device_id, device_data } = bodyOf(alice, "SLEEPS");
    expect((await alice.call("GET", DEVICE)).body).toEqual({ device_id, device_data });
    expect((await bob.call("GET", DEVICE)).status).toBe(404);
  });
});

describe("deleteDehydratedDevice", () => {
  test("ends it, as logging out everywhere does", async () => {
    const alice = await hs.registerUser("alice");
    await dehydrate(alice, "SLEEPS");
    expect((await alice.call("DELETE", DEVICE)).body).toEqual({ device_id: "SLEEPS" });
    expect(await alice.call("DELETE", DEVICE)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    await dehydrate(alice, "AGAIN");
    await alice.call("POST", "/v3/logout/all", {});
    expect((await (await hs.logIn(alice)).call("GET", DEVICE)).status).toBe(404);
  });
});

describe("getDehydratedDeviceEvents", () => {
  test("gives what was sent, in parts, as often as it is asked for", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    await dehydrate(alice, "SLEEPS");
    await sendTo(bob, alice, "SLEEPS", 105);
    const path = `${DEVICE}/SLEEPS/events`;
    for (let times = 0; times < 2; times++) {
      const first = await alice.call<Messages>("GET", path);
      expect(numbers(first)).toHaveLength(100);
      const rest = await alice.call<Messages>("GET", `${path}?from=${first.body.next_batch}`);
      expect(numbers(rest)).toEqual([100, 101, 102, 103, 104]);
      expect(rest.body).not.toHaveProperty("next_batch");
    }
    const other = await alice.call("GET", `${DEVICE}/${alice.deviceId}/events`);
    expect(other).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect((await alice.call("GET", `${path}?from=x`)).status).toBe(400);
  });
});

describe("takeDehydratedDeviceEvents", () => {
  test("gives the same, until there is nothing more", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    await dehydrate(alice, "SLEEPS");
    await sendTo(bob, alice, "*", 2);
    const path = `${DEVICE}/SLEEPS/events`;
    const first = await alice.call<Messages>("POST", path, {});
    expect(numbers(first)).toEqual([0, 1]);
    const { next_batch } = first.body;
    const rest = await alice.call("POST", path, { next_batch });
    expect(rest.body).toEqual({ events: [], next_batch: expect.any(String) });
  });
});
