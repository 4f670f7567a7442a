import { afterAll, describe, expect, test } from "vitest";
import { sendReceipt } from "#src/ephemeral/send-receipt.ts";
import { setTyping } from "#src/ephemeral/set-typing.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { setPresence } from "#src/presence/set-presence.ts";
import { asking, registered } from "#src/testing-http.ts";
import { testUser } from "#src/testing.ts";
import {
  putOff,
  type Recorder,
  sharedRoom,
  told,
  tryAgain,
  WAIT,
  recordedFederation,
} from "./testing.ts";

const { federation, hs1, one, two } = await recordedFederation({
  ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300",
});
afterAll(async () => await federation.close());

describe("in rooms", () => {
  test("public receipts are told, the last of each thread, also after an outage; private ones are not", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    const { local, room } = shared;
    const first = await shared.say("read 0");
    one.mode = "down";
    const second = await shared.say("read 1");
    // Nothing is sent until all receipts are there: what was tried before goes again as it was.
    await expect.poll(async () => await putOff(hs1.hs, one), WAIT).toBe(1);
    await sendReceipt(hs1.hs, local, "m.read", { room, eventId: first });
    await sendReceipt(hs1.hs, local, "m.read.private", { room, eventId: second });
    await sendReceipt(hs1.hs, local, "m.read", { room, eventId: first, thread: "main" });
    await sendReceipt(hs1.hs, local, "m.read", { room, eventId: second });
    one.mode = "up";
    await tryAgain(hs1.hs, one);
    const said = () =>
      told(one, "m.receipt").flatMap((it) => {
        const ofRoom = it[room.roomId] as Record<string, Record<string, object>> | undefined;
        return ofRoom ? [ofRoom] : [];
      });
    await expect.poll(() => said().length, WAIT).toBe(2);
    const receipt = (eventId: string, thread?: string) => ({
      "m.read": {
        [local.userId]: {
          event_ids: [eventId],
          data: { ts: expect.any(Number), ...(thread && { thread_id: thread }) },
        },
      },
    });
    expect(said()).toEqual([receipt(first, "main"), receipt(second)]);
  }, 60_000);

  test("who types is told to servers in the room that can be reached, and to no others", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    const { roomKey, roomId } = shared.room;
    const at = { roomKey, userKey: shared.local.userKey };
    const said = (by: Recorder) =>
      told(by, "m.typing")
        .filter((it) => it["room_id"] === roomId)
        .map((it) => it["typing"]);
    await setTyping(hs1.hs, at, 30_000);
    await expect.poll(() => said(one), WAIT).toEqual([true]);
    await setTyping(hs1.all[1] ?? hs1.hs, at, 0);
    await expect.poll(() => said(one), WAIT).toEqual([true, false]);
    expect(said(two)).toEqual([]);
  });
});

describe("presence", () => {
  test("is told to the servers in rooms with the user, and to who comes to one", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    const { local, room } = shared;
    const said = { state: "online", statusMsg: `here ${room.roomKey}` } as const;
    await setPresence(hs1.all[1] ?? hs1.hs, local, said);
    const by = (recorder: Recorder) =>
      told(recorder, "m.presence")
        .flatMap((it) => it["push"] as { user_id: string; status_msg?: string }[])
        .filter((it) => it.status_msg === said.statusMsg);
    await expect.poll(() => by(one).length, WAIT).toBeGreaterThan(0);
    expect(by(one)[0]).toMatchObject({
      user_id: local.userId,
      presence: "online",
      currently_active: true,
    });
    const user: UserId = `@comes:${two.name}`;
    await shared.receive(user, {
      type: "m.room.member",
      state_key: user,
      content: { membership: "join" },
    });
    await expect.poll(() => by(two).length, WAIT).toBeGreaterThan(0);
  });

  test("says when the user last did something also of who was never seen to", async () => {
    const { local } = await sharedRoom(hs1.hs, [one.name], "away");
    await setPresence(hs1.hs, local, { state: "unavailable", statusMsg: "away at once" });
    const pushed = () => told(one, "m.presence").flatMap((it) => it["push"] as object[]);
    await expect.poll(pushed, WAIT).toContainEqual({
      user_id: local.userId,
      presence: "unavailable",
      status_msg: "away at once",
      last_active_ago: 0,
    });
  });

  test("is told to the servers in rooms to which the user comes", async () => {
    const comer = await testUser(hs1.hs, "comer");
    await setPresence(hs1.hs, comer, { state: "online", statusMsg: "about to come" });
    await sharedRoom(hs1.hs, [two.name], "comer");
    const pushed = () =>
      told(two, "m.presence").flatMap((it) => it["push"] as { user_id: string }[]);
    await expect.poll(pushed, WAIT).toContainEqual(
      expect.objectContaining({
        user_id: comer.userId,
        presence: "online",
        status_msg: "about to come",
      }),
    );
  });
});

test("what users tell about themselves goes to servers in their rooms, but for what the rooms show", async () => {
  const ask = asking(hs1.all[1] ?? hs1.hs);
  const { user_id, access_token: token } = await registered(ask, "teller");
  await sharedRoom(hs1.hs, [one.name], "teller");
  const profiles = (by: Recorder) =>
    told(by, "uk.tcpip.msc4259.profile").filter((it) => it["user_id"] === user_id);
  const set = async (field: string, value: unknown) =>
    await ask("PUT", `profile/${user_id}/${field}`, { token, body: { [field]: value } });
  await set("displayname", "Teller");
  await set("org.example.mood", "glad");
  await expect
    .poll(() => profiles(one), WAIT)
    .toEqual([{ user_id, fields: { "org.example.mood": "glad" } }]);
  one.mode = "down";
  await set("org.example.mood", "sad");
  await set("m.tz", "Europe/Paris");
  await ask("DELETE", `profile/${user_id}/org.example.mood`, { token });
  one.mode = "up";
  const last = () => Object.assign({}, ...profiles(one).map((it) => it["fields"]));
  await expect.poll(last, WAIT).toEqual({ "org.example.mood": null, "m.tz": "Europe/Paris" });
  expect(profiles(two)).toEqual([]);
});
