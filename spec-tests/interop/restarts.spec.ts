import { ClientEvent, EventStatus, type MatrixClient, SyncState } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import { newDevice, pageBack, type SdkDevice, sharedRoom, textsIn, until } from "./js-sdk.ts";

/** The SDK waits up to half a minute between two attempts, and less for an event that could not be sent. */
const LATER = { timeout: 40_000, interval: 50 };

const ENCRYPTION = {
  type: "m.room.encryption",
  state_key: "",
  content: { algorithm: "m.megolm.v1.aes-sha2" },
};

describe.skipIf(isOutside)("a server that ends and starts again while clients sync", () => {
  let homeserver: HomeserverUnderTest;
  let alice: SdkDevice;
  let bob: SdkDevice;

  beforeAll(async () => {
    homeserver = await startHomeserver();
    const users = [await homeserver.registerUser("alice"), await homeserver.registerUser("bob")];
    const devices = users.map(async (it) => await newDevice(homeserver, it, { encrypted: true }));
    [alice, bob] = (await Promise.all(devices)) as [SdkDevice, SdkDevice];
  });
  afterAll(async () => {
    alice?.stop();
    bob?.stop();
    await homeserver?.dispose();
  });

  /** Sends until it is told to stop, each message again until the server has said that it has it. */
  function keepSending(device: SdkDevice, roomId: string, prefix: string) {
    const state = { goesOn: true, acknowledged: [] as string[] };
    const done = (async () => {
      for (let number = 0; state.goesOn; number++) {
        const text = `${prefix} ${number}`;
        await sendUntilAcknowledged(device.client, roomId, text);
        state.acknowledged.push(text);
      }
    })();
    return {
      acknowledged: () => state.acknowledged,
      async end() {
        state.goesOn = false;
        await done;
        return state.acknowledged;
      },
    };
  }

  /** The texts of a sender, in the order in which a device shows them. */
  const textsOf = (device: SdkDevice, roomId: string, prefix: string) =>
    textsIn(device, roomId).filter((text) => text.startsWith(`${prefix} `));

  test.each([
    { how: "told to", encrypted: false },
    { how: "killed", encrypted: false },
    { how: "killed", encrypted: true },
  ])(
    "loses and doubles nothing: $how, encrypted: $encrypted",
    async ({ how, encrypted }) => {
      const initial_state = encrypted ? [ENCRYPTION] : [];
      const roomId = await sharedRoom(alice, bob, { initial_state });
      const writers = [
        keepSending(alice, roomId, "alice"),
        keepSending(bob, roomId, "bob"),
      ] as const;
      await until(() => writers.every((it) => it.acknowledged().length >= 5));
      const lost = Promise.all([alice, bob].map(async ({ client }) => await whenLost(client)));
      await (how === "killed" ? homeserver.kill() : homeserver.stop());
      await lost;
      await homeserver.start();
      const goals = writers.map((it) => it.acknowledged().length + 5);
      await expect
        .poll(() => writers.map((it, i) => it.acknowledged().length >= (goals[i] ?? 0)), LATER)
        .toEqual([true, true]);
      const [ofAlice, ofBob] = await Promise.all(writers.map(async (it) => await it.end()));

      for (const device of [alice, bob]) {
        const said = () => [textsOf(device, roomId, "alice"), textsOf(device, roomId, "bob")];
        await expect
          .poll(() => said().map((its) => its.at(-1)), LATER)
          .toEqual([ofAlice?.at(-1), ofBob?.at(-1)]);
        // If much was said while it was away, it was told of a gap, and looks into that by itself.
        await pageBack(device, roomId);
        await expect.poll(said, LATER).toEqual([ofAlice, ofBob]);
        const delivered = device.delivered.get(roomId) ?? [];
        const twice = delivered.filter((id, index) => delivered.indexOf(id) !== index);
        expect(twice).toEqual([]);
      }
    },
    90_000,
  );

  test("keeps what it was told before, of every kind", async () => {
    const roomId = await sharedRoom(alice, bob, { name: "Before" });
    const { event_id: eventId } = await alice.client.sendTextMessage(roomId, "before");
    await until(() => textsIn(bob, roomId).includes("before"));
    await bob.client.setRoomReadMarkers(roomId, eventId, bob.room(roomId).findEventById(eventId));
    await bob.client.setAccountData("org.example.kept" as never, { kept: true } as never);
    await bob.client.setDisplayName("Bob the kept");
    await bob.client.setRoomMutePushRule("global", roomId, true);
    const nameInRoom = (device: SdkDevice) => device.room(roomId).getMember(bob.userId)?.name;
    await until(() => nameInRoom(alice) === "Bob the kept");
    await homeserver.kill();
    await homeserver.start();

    const user = { localpart: bob.userId.slice(1, bob.userId.indexOf(":")) };
    const late = await newDevice(homeserver, user);
    try {
      const room = late.room(roomId);
      expect(room.name).toBe("Before");
      expect(textsIn(late, roomId)).toEqual(["before"]);
      expect(room.getEventReadUpTo(bob.userId, true)).toBe(eventId);
      expect(room.getAccountData("m.fully_read")?.getContent()).toEqual({ event_id: eventId });
      expect(late.client.getAccountData("org.example.kept" as never)?.getContent()).toEqual({
        kept: true,
      });
      expect((await late.client.getProfileInfo(bob.userId)).displayname).toBe("Bob the kept");
      expect(late.client.getRoomPushRule("global", roomId)?.enabled).toBe(true);
      expect(nameInRoom(late)).toBe("Bob the kept");
    } finally {
      late.stop();
    }
  }, 60_000);
});

/** Sends a message, and again under the same transaction until the server has said that it has it. */
async function sendUntilAcknowledged(client: MatrixClient, roomId: string, text: string) {
  const transaction = client.makeTxnId();
  const sent = client.sendMessage(roomId, { msgtype: "m.text", body: text } as never, transaction);
  try {
    await sent;
    return;
  } catch {
    // The server is away. What could not be sent is kept to be sent again.
  }
  for (;;) {
    const unsent = client
      .getRoom(roomId)
      ?.getPendingEvents()
      .find((event) => event.status === EventStatus.NOT_SENT);
    const room = client.getRoom(roomId);
    if (unsent === undefined || room === null) return;
    try {
      await client.resendEvent(unsent, room);
      return;
    } catch {
      await new Promise((settle) => setTimeout(settle, 100));
    }
  }
}

/** Waits until a client says that it has lost the server. */
async function whenLost(client: MatrixClient): Promise<void> {
  await new Promise<void>((settle) => {
    const look = (state: SyncState) => {
      if (state !== SyncState.Reconnecting && state !== SyncState.Error) return;
      client.removeListener(ClientEvent.Sync, look);
      settle();
    };
    client.on(ClientEvent.Sync, look);
  });
}
