import { ClientEvent } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newDevice, type SdkDevice, sharedRoom, textsIn } from "../interop/js-sdk.ts";
import { registerUser, type TestUser } from "../test-user.ts";
import { ENCRYPTED, knownDevices, LATER, WITH_TIME } from "./devices.ts";
import { lacksPair, type Peer, sharedPair } from "./pair.ts";

describe.skipIf(await lacksPair())("a device on ours and one on Synapse", () => {
  let ours: Peer;
  let synapse: Peer;
  let users: readonly [TestUser, TestUser];
  let alice: SdkDevice;
  let bob: SdkDevice;

  beforeAll(async () => {
    ({ ours, synapse } = await sharedPair());
    users = [await registerUser(ours.url, "alice"), await registerUser(synapse.url, "bob")];
    [alice, bob] = await Promise.all([
      newDevice(ours, users[0], { encrypted: true }),
      newDevice(synapse, users[1], { encrypted: true }),
    ]);
  }, WITH_TIME);
  afterAll(() => {
    alice?.stop();
    bob?.stop();
  });

  test(
    "read what the other says under seal, in rooms of either",
    async () => {
      for (const [owner, guest] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const roomId = await sharedRoom(owner, guest, ENCRYPTED);
        await guest.client.sendTextMessage(roomId, "from the guest");
        await expect.poll(() => textsIn(owner, roomId), LATER).toEqual(["from the guest"]);
        await owner.client.sendTextMessage(roomId, "from the owner");
        for (const device of [owner, guest]) {
          await expect
            .poll(() => textsIn(device, roomId), LATER)
            .toEqual(["from the guest", "from the owner"]);
        }
      }
    },
    WITH_TIME,
  );

  test(
    "tell each other things outside of rooms",
    async () => {
      for (const [from, to] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const received: unknown[] = [];
        to.client.on(ClientEvent.ToDeviceEvent, (event) => {
          if (event.getType() === "org.example.signal") received.push(event.getContent()["flag"]);
        });
        const message = (flag: number) =>
          new Map([[to.userId, new Map([[to.deviceId, { flag }]])]]);
        for (const flag of [1, 2, 3]) {
          await from.client.sendToDevice("org.example.signal", message(flag));
        }
        await expect.poll(() => received, LATER).toEqual([1, 2, 3]);
      }
    },
    WITH_TIME,
  );

  test(
    "hear of each other's new devices, and that they are gone",
    async () => {
      for (const [index, home, of, other] of [
        [0, ours, alice, bob],
        [1, synapse, bob, alice],
      ] as const) {
        const roomId = await sharedRoom(of, other, ENCRYPTED);
        const tablet = await newDevice(home, users[index], { encrypted: true });
        await expect
          .poll(async () => await knownDevices(other, of.userId), LATER)
          .toContain(tablet.deviceId);
        await other.client.sendTextMessage(roomId, "to all of yours");
        await expect.poll(() => textsIn(tablet, roomId), LATER).toContain("to all of yours");
        await tablet.client.sendTextMessage(roomId, "from the tablet");
        await expect.poll(() => textsIn(other, roomId), LATER).toContain("from the tablet");
        await tablet.client.logout(true);
        await expect
          .poll(async () => await knownDevices(other, of.userId), LATER)
          .not.toContain(tablet.deviceId);
      }
    },
    WITH_TIME,
  );

  test(
    "see that the other's user has made cross-signing keys",
    async () => {
      await sharedRoom(alice, bob, ENCRYPTED);
      for (const [from, to, user] of [
        [alice, bob, users[0]],
        [bob, alice, users[1]],
      ] as const) {
        await from.client.getCrypto()?.bootstrapCrossSigning({
          authUploadDeviceSigningKeys: async (makeRequest) => {
            const identifier = { type: "m.id.user", user: user.userId };
            await makeRequest({ type: "m.login.password", identifier, password: "secret" });
          },
        });
        const isKnown = async () => {
          const status = await to.client.getCrypto()?.getUserVerificationStatus(from.userId);
          const has = await to.client.getCrypto()?.userHasCrossSigningKeys(from.userId, true);
          return has === true && status !== undefined;
        };
        await expect.poll(isKnown, LATER).toBe(true);
        await expect
          .poll(async () => {
            const devices = await to.client.getCrypto()?.getUserDeviceInfo([from.userId], true);
            return devices?.get(from.userId)?.get(from.deviceId)?.signatures.get(from.userId)?.size;
          }, LATER)
          .toBe(2);
      }
    },
    WITH_TIME,
  );
});
