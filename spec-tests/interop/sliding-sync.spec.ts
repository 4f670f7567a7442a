import { ReceiptType } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HomeserverUnderTest, startHomeserver } from "../homeserver-under-test.ts";
import { newDevice, type SdkDevice, sharedRoom, SOON, textsIn } from "./js-sdk.ts";

let homeserver: HomeserverUnderTest;
let alice: SdkDevice;
let bob: SdkDevice;

/** Bob's device asks by sliding sync, Alice's as ever. */
beforeAll(async () => {
  homeserver = await startHomeserver();
  const [aliceUser, bobUser] = [
    await homeserver.registerUser("alice"),
    await homeserver.registerUser("bob"),
  ];
  [alice, bob] = await Promise.all([
    newDevice(homeserver, aliceUser, { encrypted: true }),
    newDevice(homeserver, bobUser, { encrypted: true, sliding: true }),
  ]);
});
afterAll(async () => {
  alice?.stop();
  bob?.stop();
  await homeserver?.dispose();
});

const encryption = {
  type: "m.room.encryption",
  state_key: "",
  content: { algorithm: "m.megolm.v1.aes-sha2" },
};

describe("a client that asks by sliding sync", () => {
  test("is invited, joins, and hears what others say", async () => {
    const roomId = await sharedRoom(alice, bob, { name: "Harbour" });
    await expect.poll(() => bob.room(roomId).name, SOON).toBe("Harbour");
    for (const text of ["one", "two", "three"]) await alice.client.sendTextMessage(roomId, text);
    await expect.poll(() => textsIn(bob, roomId), SOON).toEqual(["one", "two", "three"]);
    await bob.client.sendTextMessage(roomId, "four");
    await expect.poll(() => textsIn(bob, roomId).at(-1), SOON).toBe("four");
    expect(bob.room(roomId).getJoinedMemberCount()).toBe(2);
  });

  test("hears who types, what others have read, and what other devices have set", async () => {
    const roomId = await sharedRoom(alice, bob);
    const { event_id: eventId } = await bob.client.sendTextMessage(roomId, "read me");
    await expect
      .poll(() => alice.room(roomId).findEventById(eventId) !== undefined, SOON)
      .toBe(true);
    const event = alice.room(roomId).findEventById(eventId);
    if (!event) throw new Error("the event has gone");
    await alice.client.sendReadReceipt(event, ReceiptType.Read, true);
    const readBy = () => bob.room(roomId).getReadReceiptForUserId(alice.userId)?.eventId;
    await expect.poll(readBy, SOON).toBe(eventId);
    await alice.client.sendTyping(roomId, true, 30_000);
    await expect.poll(() => bob.room(roomId).getMember(alice.userId)?.typing, SOON).toBe(true);
    await bob.client.setAccountDataRaw("org.example.setting" as never, { on: true } as never);
    const setting = () => bob.client.getAccountData("org.example.setting" as never)?.getContent();
    await expect.poll(setting, SOON).toEqual({ on: true });
  });

  test("reads what is encrypted for it, and is read", async () => {
    const roomId = await sharedRoom(alice, bob, { initial_state: [encryption] });
    await expect.poll(() => bob.room(roomId).hasEncryptionStateEvent(), SOON).toBe(true);
    await alice.client.sendTextMessage(roomId, "secret");
    await expect.poll(() => textsIn(bob, roomId), SOON).toEqual(["secret"]);
    await bob.client.sendTextMessage(roomId, "answer");
    await expect.poll(() => textsIn(alice, roomId), SOON).toEqual(["secret", "answer"]);
  });
});
