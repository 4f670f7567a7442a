import { ClientEvent, EventType, type MatrixEvent } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HomeserverUnderTest, startHomeserver } from "../homeserver-under-test.ts";
import type { TestUser } from "../test-user.ts";
import { newDevice, type SdkDevice, sharedRoom, SOON, textsIn } from "./js-sdk.ts";

let homeserver: HomeserverUnderTest;
let bobUser: TestUser;
let alice: SdkDevice;
let bob: SdkDevice;

const ENCRYPTED = {
  initial_state: [
    {
      type: "m.room.encryption",
      state_key: "",
      content: { algorithm: "m.megolm.v1.aes-sha2" },
    },
  ],
};

beforeAll(async () => {
  homeserver = await startHomeserver();
  const aliceUser = await homeserver.registerUser("alice");
  bobUser = await homeserver.registerUser("bob");
  [alice, bob] = await Promise.all([
    newDevice(homeserver, aliceUser, { encrypted: true }),
    newDevice(homeserver, bobUser, { encrypted: true }),
  ]);
});
afterAll(async () => {
  alice?.stop();
  bob?.stop();
  await homeserver?.dispose();
});

/** What the server has of keys that others can begin a session with, as a device is told. */
async function uploadedKeys(device: SdkDevice): Promise<number> {
  const { one_time_key_counts: counts } = await device.client.http.authedRequest<{
    one_time_key_counts: Record<string, number>;
  }>("POST" as never, "/keys/upload", undefined, {});
  return counts["signed_curve25519"] ?? 0;
}

describe("two devices of two users", () => {
  test("publish their keys, and find each other's", async () => {
    for (const [device, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const keys = await other.client.getCrypto()?.getOwnDeviceKeys();
      const known = async () => {
        const devices = await device.client.getCrypto()?.getUserDeviceInfo([other.userId], true);
        return devices?.get(other.userId)?.get(other.deviceId)?.getIdentityKey();
      };
      await expect.poll(known, SOON).toBe(keys?.curve25519);
      await expect.poll(async () => await uploadedKeys(device), SOON).toBeGreaterThanOrEqual(50);
    }
  });

  test("read each other's messages, and nobody else does", async () => {
    const roomId = await sharedRoom(alice, bob, ENCRYPTED);
    const sent = await alice.client.sendTextMessage(roomId, "under seal");
    await expect.poll(() => textsIn(bob, roomId), SOON).toEqual(["under seal"]);
    await bob.client.sendTextMessage(roomId, "sealed as well");
    for (const device of [alice, bob]) {
      await expect
        .poll(() => textsIn(device, roomId), SOON)
        .toEqual(["under seal", "sealed as well"]);
    }
    const stored = await alice.client.fetchRoomEvent(roomId, sent.event_id);
    expect(stored.type).toBe(EventType.RoomMessageEncrypted);
    expect(JSON.stringify(stored)).not.toContain("under seal");
  });

  test("spend one one-time key for each session", async () => {
    const claimed = await alice.client.claimOneTimeKeys([[bob.userId, bob.deviceId]]);
    const again = await alice.client.claimOneTimeKeys([[bob.userId, bob.deviceId]]);
    const idsOf = (result: typeof claimed) =>
      Object.keys(result.one_time_keys[bob.userId]?.[bob.deviceId] ?? {});
    expect(idsOf(claimed)).toHaveLength(1);
    expect(idsOf(again)).toHaveLength(1);
    expect(idsOf(again)).not.toEqual(idsOf(claimed));
    // With the next thing that the device is told it is told of that, too, and makes up for it.
    const message = new Map([[bob.userId, new Map([[bob.deviceId, { flag: 0 }]])]]);
    await alice.client.sendToDevice("org.example.news", message);
    await expect.poll(async () => await uploadedKeys(bob), SOON).toBeGreaterThanOrEqual(50);
  });

  test("tell each other things outside of rooms", async () => {
    const received: MatrixEvent[] = [];
    bob.client.on(ClientEvent.ToDeviceEvent, (event) => received.push(event));
    const ofOurs = () => received.filter((event) => event.getType() === "org.example.signal");
    await alice.client.sendToDevice(
      "org.example.signal",
      new Map([[bob.userId, new Map([[bob.deviceId, { flag: 1 }]])]]),
    );
    await alice.client.sendToDevice(
      "org.example.signal",
      new Map([[bob.userId, new Map([["*", { flag: 2 }]])]]),
    );
    await expect
      .poll(() => ofOurs().map((event) => event.getContent()["flag"]), SOON)
      .toEqual([1, 2]);
    expect(ofOurs()[0]?.getSender()).toBe(alice.userId);

    await alice.client.encryptAndSendToDevice(
      "org.example.signal",
      [{ userId: bob.userId, deviceId: bob.deviceId }],
      { flag: 3 },
    );
    await expect.poll(() => ofOurs().at(-1)?.getContent()["flag"], SOON).toBe(3);
  });
});

describe("a second device", () => {
  test("gets what is sent from then on, and is refused what was sent before", async () => {
    const roomId = await sharedRoom(alice, bob, ENCRYPTED);
    await alice.client.sendTextMessage(roomId, "before");
    await expect.poll(() => textsIn(bob, roomId), SOON).toEqual(["before"]);

    const tablet = await newDevice(homeserver, bobUser, { encrypted: true });
    try {
      // Alice's client hears of it in a sync, and asks for its keys.
      await expect
        .poll(async () => {
          const devices = await alice.client.getCrypto()?.getUserDeviceInfo([bob.userId]);
          return [...(devices?.get(bob.userId)?.keys() ?? [])];
        }, SOON)
        .toContain(tablet.deviceId);
      await alice.client.sendTextMessage(roomId, "after");
      await tablet.client.sendTextMessage(roomId, "from the tablet");
      const readable = () => textsIn(tablet, roomId).slice(-2);
      await expect.poll(readable, SOON).toEqual(["after", "from the tablet"]);
      for (const device of [alice, bob]) {
        await expect
          .poll(() => textsIn(device, roomId), SOON)
          .toEqual(["before", "after", "from the tablet"]);
      }
      const early = tablet
        .room(roomId)
        .getLiveTimeline()
        .getEvents()
        .filter((event) => event.isDecryptionFailure());
      expect(early).toHaveLength(1);
    } finally {
      await tablet.client.logout(true);
    }
    await expect
      .poll(async () => {
        const devices = await alice.client.getCrypto()?.getUserDeviceInfo([bob.userId]);
        return [...(devices?.get(bob.userId)?.keys() ?? [])];
      }, SOON)
      .not.toContain(tablet.deviceId);
  });

  test("that is away can be written to for as long as its fallback key lasts", async () => {
    const sleeper = await newDevice(homeserver, bobUser, { encrypted: true });
    await expect.poll(async () => await uploadedKeys(sleeper), SOON).toBeGreaterThanOrEqual(50);
    sleeper.stop();
    const target: [string, string][] = [[bob.userId, sleeper.deviceId]];
    // Fallback keys have IDs of their own counting, so it is by the keys themselves that they are told apart.
    const claimed: { key: string; fallback?: boolean }[] = [];
    while (claimed.filter((it) => it.fallback === true).length < 2 && claimed.length < 200) {
      const { one_time_keys: keys } = await alice.client.claimOneTimeKeys(target);
      const given = Object.values(keys[bob.userId]?.[sleeper.deviceId] ?? {});
      expect(given).toHaveLength(1);
      claimed.push(...(given as typeof claimed));
    }
    const once = claimed.slice(0, -2).map((it) => it.key);
    const [first, second] = claimed.slice(-2).map((it) => it.key);
    expect(once.length).toBeGreaterThanOrEqual(50);
    expect(new Set(once).size).toBe(once.length);
    expect(second).toBe(first);
    expect(once).not.toContain(first);
  });
});
