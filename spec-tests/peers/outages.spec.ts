import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rotateSigningKey } from "#src/homeserver/signing-key.ts";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { newDevice, type SdkDevice, sharedRoom, textsIn, until } from "../interop/js-sdk.ts";
import { ENCRYPTED, knownDevices, LATER, WITH_TIME } from "./devices.ts";
import { lacksPair, type Pair, startPair } from "./pair.ts";
import { eventually, type Person, personAt, textsOf } from "./person.ts";

const ROOMS = 5;
const IN_EACH = process.env["CI"] ? 200 : 12;

/** A thousand events are neither said nor there in a moment, on a busy machine. */
const MUCH_LATER = { timeout: 300_000, interval: 500 };
const WITH_MUCH_TIME = 600_000;

describe.skipIf(await lacksPair())("of a server that was down", () => {
  let database: TestDatabase;
  let pair: Pair;
  let alice: Person;
  let bob: Person;
  let aliceDevice: SdkDevice;
  let bobDevice: SdkDevice;
  let sealed: string;

  beforeAll(async () => {
    database = await testDatabase();
    pair = await startPair({ DATABASE_URL: database.url });
    alice = await personAt(pair.ours, "alice");
    bob = await personAt(pair.synapse, "bob");
    [aliceDevice, bobDevice] = await Promise.all([
      newDevice(pair.ours, alice, { encrypted: true }),
      newDevice(pair.synapse, bob, { encrypted: true }),
    ]);
    sealed = await sharedRoom(aliceDevice, bobDevice, ENCRYPTED);
    await aliceDevice.client.sendTextMessage(sealed, "before");
    await until(() => textsIn(bobDevice, sealed).includes("before"));
  }, WITH_TIME);
  afterAll(async () => {
    aliceDevice?.stop();
    bobDevice?.stop();
    await pair?.dispose();
    await database?.drop();
  });

  /** Rooms that both are in. */
  const roomsOf = async (owner: Person, guest: Person) =>
    await Promise.all(
      Array.from({ length: ROOMS }, async () => {
        const roomId = await owner.createRoom({ preset: "public_chat" });
        await guest.join(roomId, owner.home);
        await eventually(async () => await owner.membershipOf(guest, roomId), "join");
        return roomId;
      }),
    );
  const said = Array.from({ length: IN_EACH }, (_, index) => `missed ${index}`);
  const sayAll = async (person: Person, roomIds: readonly string[]) =>
    await Promise.all(
      roomIds.map(async (roomId) => {
        for (const text of said) await person.say(roomId, text);
      }),
    );

  describe("when it was ours", () => {
    let rooms: readonly string[];
    let tablet: SdkDevice;

    beforeAll(async () => {
      rooms = await roomsOf(bob, alice);
      await pair.ours.kill();
      await sayAll(bob, rooms);
      tablet = await newDevice(pair.synapse, bob, { encrypted: true });
      await pair.ours.start();
    }, WITH_MUCH_TIME);
    afterAll(() => tablet?.stop());

    test(
      "every missed message comes, without anybody's looking for it",
      async () => {
        // Asked of the database: who asks by `/messages` has the server look for what it lacks.
        const stored = async () => {
          const rows = await database.sql<{ count: number }[]>`
          select count(*)::int from events join rooms using (room_key)
          where room_id = any(${rooms as string[]}::text[]) and type = 'm.room.message' and status = 0`;
          return rows[0]?.count;
        };
        await eventually(stored, ROOMS * IN_EACH, MUCH_LATER);
        for (const roomId of rooms) expect(textsOf(await alice.all(roomId))).toEqual(said);
      },
      WITH_MUCH_TIME,
    );

    test(
      "a device that came meanwhile is known, and written to",
      async () => {
        await expect
          .poll(async () => await knownDevices(aliceDevice, bob.userId), LATER)
          .toContain(tablet.deviceId);
        await aliceDevice.client.sendTextMessage(sealed, "to the tablet too");
        await expect.poll(() => textsIn(tablet, sealed), LATER).toContain("to the tablet too");
      },
      WITH_TIME,
    );
  });

  describe("when it was Synapse", () => {
    let rooms: readonly string[];
    let tablet: SdkDevice;

    beforeAll(async () => {
      rooms = await roomsOf(alice, bob);
      await pair.synapse.kill();
      await sayAll(alice, rooms);
      tablet = await newDevice(pair.ours, alice, { encrypted: true });
      await pair.synapse.start();
    }, WITH_MUCH_TIME);
    afterAll(() => tablet?.stop());

    test(
      "it is sent every message that it missed",
      async () => {
        // Of events that come faster than it can store them Synapse 1.163 throws away all but the newest of a room once a
        // hundred wait, and gets them again when somebody reads that far back: so it is asked by `/messages`.
        for (const roomId of rooms) {
          await eventually(async () => textsOf(await bob.all(roomId)), said, MUCH_LATER);
        }
      },
      WITH_MUCH_TIME,
    );

    test(
      "a device that came meanwhile is known, and written to",
      async () => {
        await expect
          .poll(async () => await knownDevices(bobDevice, alice.userId), LATER)
          .toContain(tablet.deviceId);
        await bobDevice.client.sendTextMessage(sealed, "to yours as well");
        await expect.poll(() => textsIn(tablet, sealed), LATER).toContain("to yours as well");
      },
      WITH_TIME,
    );
  });

  describe("and came back with another key", () => {
    /** A room with something signed by the key before, and then something by the next. */
    const expectBelieved = async (owner: Person, guest: Person, change: () => Promise<void>) => {
      const roomId = await owner.createRoom({ preset: "public_chat" });
      const late = await owner.createRoom({ preset: "public_chat" });
      await guest.join(roomId, owner.home);
      await owner.say(roomId, "by the old key");
      await owner.say(late, "by the old key");
      await eventually(async () => textsOf(await guest.newest(roomId)), ["by the old key"]);
      await change();
      const both = ["by the old key", "by the new key"];
      for (const it of [roomId, late]) await owner.say(it, "by the new key");
      await eventually(async () => textsOf(await guest.newest(roomId)), both);
      await guest.join(late, owner.home);
      await eventually(async () => textsOf(await guest.all(late)), both);
    };

    test(
      "ours is believed, of before and after",
      async () => {
        await expectBelieved(alice, bob, async () => {
          await rotateSigningKey(database.sql, Date.now() as never);
          await pair.ours.stop();
          await pair.ours.start();
        });
      },
      WITH_TIME,
    );

    test(
      "Synapse is believed, of before and after",
      async () => {
        await expectBelieved(bob, alice, async () => {
          await pair.synapse.stop();
          pair.synapse.changeKey();
          await pair.synapse.start();
        });
      },
      WITH_TIME,
    );
  });
});
