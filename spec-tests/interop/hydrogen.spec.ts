import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import { lacks } from "../needs.ts";
import type { TestUser } from "../test-user.ts";
import { type Hydrogen, startHydrogen } from "./hydrogen.ts";
import { newDevice, type SdkDevice, SOON, textsIn } from "./js-sdk.ts";

/** Hydrogen waits some seconds between two attempts to reach a server that is away. */
const LATER = { timeout: 20_000, interval: 100 };

const ENCRYPTION = {
  type: "m.room.encryption",
  state_key: "",
  content: { algorithm: "m.megolm.v1.aes-sha2" },
};

describe.skipIf(await lacks("chromium"))("Hydrogen in a browser, with matrix-js-sdk", () => {
  let homeserver: HomeserverUnderTest;
  let alice: SdkDevice;
  let bobUser: TestUser;
  let bob: Hydrogen;
  let bobDevice: string;

  beforeAll(async () => {
    homeserver = await startHomeserver();
    bobUser = await homeserver.registerUser("bob");
    const aliceUser = await homeserver.registerUser("alice");
    alice = await newDevice(homeserver, aliceUser, { encrypted: true });
    bob = await startHydrogen();
    ({ deviceId: bobDevice } = await bob.logIn(homeserver, bobUser));
  });
  afterAll(async () => {
    alice?.stop();
    await bob?.dispose();
    await homeserver?.dispose();
  });

  /** What both of them show of a room. */
  const shown = async (roomId: string) => [textsIn(alice, roomId), await bob.texts()];
  const both = (texts: readonly string[]) => [texts, texts];

  describe.each([
    { kind: "a plain room", encrypted: false },
    { kind: "an encrypted room", encrypted: true },
  ])("in $kind", ({ encrypted }) => {
    let roomId: string;
    const texts: string[] = [];

    beforeAll(async () => {
      const created = await alice.client.createRoom({
        name: "Strait",
        invite: [bobUser.userId],
        initial_state: encrypted ? [ENCRYPTION] : [],
      });
      roomId = created.room_id;
      await bob.join(roomId);
      await bob.show(roomId);
    });

    /** Each writes, and both show all there is. */
    async function exchange(word: string) {
      await alice.client.sendTextMessage(roomId, `${word} from alice`);
      texts.push(`${word} from alice`);
      await expect.poll(async () => await shown(roomId), LATER).toEqual(both(texts));
      await bob.write(`${word} from bob`);
      texts.push(`${word} from bob`);
      await expect.poll(async () => await shown(roomId), LATER).toEqual(both(texts));
    }

    test("each shows what the other writes", async () => {
      const membership = () => alice.client.getRoom(roomId)?.getMember(bobUser.userId)?.membership;
      await expect.poll(membership, SOON).toBe("join");
      expect(await bob.isEncrypted(roomId)).toBe(encrypted);
      await exchange("first");
      const events = alice.room(roomId).getLiveTimeline().getEvents();
      const last = events.findLast((it) => it.getSender() === bobUser.userId);
      expect(last?.isEncrypted()).toBe(encrypted);
      expect(last?.getContent()["body"]).toBe("first from bob");
    }, 60_000);

    test("a page that is loaded anew is the same device, and has missed nothing", async () => {
      await bob.page.goto("about:blank");
      await alice.client.sendTextMessage(roomId, "while away");
      texts.push("while away");
      expect(await bob.reload()).toEqual({ userId: bobUser.userId, deviceId: bobDevice });
      await bob.show(roomId);
      await expect.poll(async () => await shown(roomId), LATER).toEqual(both(texts));
      await exchange("reloaded");
    }, 90_000);

    test.skipIf(isOutside).each(["stop", "kill"] as const)(
      "what is written while the server is away comes when it is back: %s",
      async (how) => {
        await homeserver[how]();
        await bob.write(`unsent at ${how}`);
        texts.push(`unsent at ${how}`);
        await homeserver.start();
        await expect.poll(async () => await shown(roomId), LATER).toEqual(both(texts));
        await exchange(`after ${how}`);
      },
      90_000,
    );
  });
});
