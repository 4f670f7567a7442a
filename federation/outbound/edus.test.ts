import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import { lastUpdateNumber } from "#src/devices/device-updates.ts";
import { sendToDevice } from "#src/devices/send-to-device.ts";
import { encryptionStream } from "#src/encryption/encryption-stream.ts";
import { ownDeviceList } from "#src/encryption/own-device-list.ts";
import { crossSigningKey, deviceKeysOf, testDevice, testKey } from "#src/encryption/testing.ts";
import { uploadKeys } from "#src/encryption/upload-keys.ts";
import { sendReceipt } from "#src/ephemeral/send-receipt.ts";
import { setTyping } from "#src/ephemeral/set-typing.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { setPresence } from "#src/presence/set-presence.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { write } from "#src/streams/write.ts";
import { asking, registered } from "#src/testing-http.ts";
import { testUser } from "#src/testing.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { putOff, QUICK, type Recorder, recorder, sharedRoom, tryAgain } from "./testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let one: Recorder;
let two: Recorder;

beforeAll(async () => {
  hs1 = await federation.open({
    processes: 2,
    outboundTimes: QUICK,
    variables: { ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300" },
  });
  one = await recorder(federation, "liar.test");
  two = await recorder(federation, "notary.test");
});
afterAll(async () => await federation.close());

const WAIT = { timeout: 20_000, interval: 20 };

function told(by: Recorder, type: string) {
  return by.taken
    .flatMap((it) => it.body.edus)
    .filter((it) => it.edu_type === type)
    .map((it) => it.content);
}

const NO_MORE_EDUS = 100;

describe("messages to devices", () => {
  const send = async (to: Record<string, Record<string, object>>, type = "m.test") =>
    await sendToDevice(hs1.all[1] ?? hs1.hs, await testDevice(hs1.hs, "local"), {
      type,
      messages: to,
    });

  test("go to the server of the user, and are gone then", async () => {
    const user: UserId = `@friend:${one.name}`;
    await send({ [user]: { ONE: { n: 1 }, TWO: { n: 2 } }, [`@other:${two.name}`]: { "*": {} } });
    const mine = () => told(one, "m.direct_to_device").filter((it) => it["type"] === "m.test");
    await expect.poll(() => mine().length, WAIT).toBe(1);
    expect(mine()[0]).toEqual({
      sender: `@local:${hs1.name}`,
      type: "m.test",
      message_id: expect.stringMatching(/^.{1,32}$/),
      messages: { [user]: { ONE: { n: 1 }, TWO: { n: 2 } } },
    });
    const left = async () => (await hs1.hs.sql`select from remote_to_device`).length;
    await expect.poll(left, WAIT).toBe(0);
    expect(told(two, "m.direct_to_device")).toHaveLength(1);
  });

  test("wait for a server that is away, however many, and come in order, each under one ID", async () => {
    const user: UserId = `@away:${one.name}`;
    one.mode = "mute";
    for (let n = 0; n < 130; n++) {
      await send({ [user]: { A: { n } } }, "m.many");
    }
    one.mode = "up";
    const mine = () => told(one, "m.direct_to_device").filter((it) => it["type"] === "m.many");
    const numbers = () =>
      mine().map((it) => (it["messages"] as Record<string, { A: { n: number } }>)[user]?.A.n);
    await expect.poll(numbers, WAIT).toEqual(Array.from({ length: 130 }, (_, index) => index));
    const ids = new Map<unknown, string>();
    for (const { body } of one.transactions) {
      expect(body.edus.length).toBeLessThanOrEqual(NO_MORE_EDUS);
      for (const { content } of body.edus) {
        const text = JSON.stringify(content);
        expect(ids.get(content["message_id"]) ?? text).toBe(text);
        if (content["message_id"] !== undefined) ids.set(content["message_id"], text);
      }
    }
    const left = async () => (await hs1.hs.sql`select from remote_to_device`).length;
    await expect.poll(left, WAIT).toBe(0);
  });

  test("to many devices at once go together", async () => {
    const user: UserId = `@many:${one.name}`;
    const devices = Array.from({ length: 1_000 }, (_, index) => [`D${index}`, { key: index }]);
    await send({ [user]: Object.fromEntries(devices) }, "m.wide");
    const mine = () => told(one, "m.direct_to_device").filter((it) => it["type"] === "m.wide");
    const got = () =>
      mine().flatMap((it) => Object.keys((it["messages"] as Record<string, object>)[user] ?? {}));
    await expect.poll(() => got().length, WAIT).toBe(1_000);
    expect(new Set(got()).size).toBe(1_000);
    expect(mine().length).toBe(50);
  });
});

describe("devices of our users", () => {
  test("are told to the servers in their rooms, one following the other", async () => {
    const device = await testDevice(hs1.hs, "local", "PHONE");
    const shared = await sharedRoom(hs1.hs, [two.name, one.name]);
    const all = () => told(two, "m.device_list_update").filter((it) => it["device_id"] === "PHONE");
    await expect.poll(() => all().length, WAIT).toBe(1);
    const updates = () => all().slice(1);
    const keys = deviceKeysOf(device);
    await uploadKeys(hs1.hs, device, { device_keys: keys });
    await expect.poll(() => updates().length, WAIT).toBe(1);
    expect(updates()[0]).toMatchObject({ user_id: shared.local.userId, keys });
    const last = await lastUpdateNumber(hs1.hs.sql, shared.local.userKey);
    expect(last).toBe(updates()[0]?.["stream_id"]);

    two.mode = "down";
    const again = deviceKeysOf(device);
    await uploadKeys(hs1.hs, device, { device_keys: again });
    await deleteDevices(hs1.hs, device, ["PHONE"]);
    two.mode = "up";
    await expect.poll(() => updates().length, WAIT).toBe(3);
    const [first, second, third] = updates();
    expect(second?.["prev_id"]).toEqual([first?.["stream_id"]]);
    expect(third?.["prev_id"]).toEqual([second?.["stream_id"]]);
    expect(third).toMatchObject({ deleted: true });
    expect(third?.["keys"]).toBeUndefined();
  });

  test("are told, with their names if we may, to who has shared no room with the user before", async () => {
    const device = await testDevice(hs1.hs, "newcomer", "FIRST");
    const of = (by: Recorder) =>
      told(by, "m.device_list_update").filter((it) => it["user_id"] === device.userId);
    await testDevice(hs1.hs, "newcomer", "SECOND");
    const keys = deviceKeysOf(device);
    await uploadKeys(hs1.hs, device, { device_keys: keys });
    const shared = await sharedRoom(hs1.hs, [one.name], "newcomer");
    await expect.poll(() => of(one).length, WAIT).toBe(2);
    const ofUser = { user_id: device.userId, prev_id: [] };
    expect(of(one)).toEqual([
      { ...ofUser, device_id: "SECOND", stream_id: expect.any(Number) },
      { ...ofUser, device_id: "FIRST", keys, stream_id: expect.any(Number) },
    ]);

    // Who is told already is not told again: by another room, or by a new name.
    await sharedRoom(hs1.hs, [one.name, two.name], "newcomer");
    const content = { membership: "join", displayname: "Anew" };
    await sendEvent(hs1.hs, {
      sender: shared.local,
      room: shared.room,
      draft: { type: "m.room.member", state_key: shared.local.userId, content },
    });
    await shared.say("after that");
    await expect.poll(() => one.bodies(), WAIT).toContain("after that");
    expect(of(one)).toHaveLength(2);
    await expect.poll(() => of(two).length, WAIT).toBe(2);
  });

  test("are told with their names if we may, and then also when they are named anew", async () => {
    const { hs } = await federation.open({
      host: "hs2.test",
      outboundTimes: QUICK,
      variables: { ARCHIPEL_FEDERATION_TELL_DEVICE_NAMES: "true" },
    });
    const ask = asking(hs);
    const { access_token: token, user_id: userId, device_id } = await registered(ask, "namer");
    await sharedRoom(hs, [one.name], "namer");
    const device_keys = deviceKeysOf({ userId, deviceId: device_id });
    await ask("POST", "keys/upload", { token, body: { device_keys } });
    const display_name = "Telephone";
    await ask("PUT", `devices/${device_id}`, { token, body: { display_name } });
    const mine = () => told(one, "m.device_list_update").filter((it) => it["user_id"] === userId);
    const named = { device_display_name: display_name };
    await expect
      .poll(() => mine().at(-1), WAIT)
      .toMatchObject({ device_id, ...named, keys: { unsigned: named } });
    expect((await ownDeviceList(hs, userId)).devices).toMatchObject([{ device_id, ...named }]);
  });

  test("of which many go at once are told of by one update that makes servers ask", async () => {
    await sharedRoom(hs1.hs, [one.name]);
    const before = told(one, "m.device_list_update").length;
    let owner = await testDevice(hs1.hs, "local", "MANY");
    for (let index = 0; index < 25; index++) {
      owner = await testDevice(hs1.hs, "local", `MANY${index}`);
      await uploadKeys(hs1.hs, owner, { device_keys: deviceKeysOf(owner) });
    }
    const since = () => told(one, "m.device_list_update").slice(before);
    await expect.poll(() => since().length, WAIT).toBe(25);
    await deleteDevices(hs1.hs, owner, "all");
    await expect.poll(() => since().length, WAIT).toBe(26);
    const known = new Set(since().map((it) => it["stream_id"]));
    const [prev] = since()
      .slice(-1)
      .map((it) => it["prev_id"]);
    expect(prev).toEqual([expect.any(Number)]);
    expect(known.has((prev as number[])[0])).toBe(false);
  });

  test("that have changed before it was known who is in a room are told to who has missed it", async () => {
    const device = await testDevice(hs1.hs, "early", "PHONE");
    await uploadKeys(hs1.hs, device, { device_keys: deviceKeysOf(device) });
    const shared = await sharedRoom(hs1.hs, [one.name, two.name], "early", [one.name]);
    const elsewhere = await sharedRoom(hs1.hs, [two.name], "late");
    const of = (by: Recorder) =>
      told(by, "m.device_list_update").filter((it) => it["user_id"] === device.userId);
    await expect.poll(() => of(one).length, WAIT).toBe(1);
    const gone = await testDevice(hs1.hs, "early", "GONE");
    await uploadKeys(hs1.hs, gone, { device_keys: deviceKeysOf(gone) });
    await deleteDevices(hs1.hs, gone, ["GONE"]);
    await expect.poll(() => of(one).length, WAIT).toBe(3);
    await elsewhere.say("nothing yet");
    await expect.poll(() => two.bodies(), WAIT).toContain("nothing yet");
    expect(of(two)).toEqual([]);

    await shared.tellMembers();
    await expect.poll(() => of(two).length, WAIT).toBe(1);
    // It follows what the server has not seen either: so it asks for the whole list.
    expect(of(two)).toEqual(of(one).slice(-1));
    await shared.say("all are there");
    for (const server of [one, two]) {
      await expect.poll(() => server.bodies(), WAIT).toContain("all are there");
    }
    expect([of(one).length, of(two).length]).toEqual([3, 1]);
  });

  test("and the keys by which users sign them are told, but not those by which they sign others", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    const { userId, userKey } = shared.local;
    const keyOf = (usage: "master" | "self_signing" | "user_signing") => {
      const key = testKey();
      const json = JSON.stringify(crossSigningKey(userId, usage, key));
      return { userKey, usage, publicKey: key.publicKey, json };
    };
    await write(hs1.hs, encryptionStream, {
      kind: "cross-signing",
      userKey,
      keys: [keyOf("master"), keyOf("self_signing"), keyOf("user_signing")],
      mayReplace: true,
    });
    const said = () => told(one, "m.signing_key_update");
    await expect.poll(() => said().length, WAIT).toBe(1);
    expect(said()[0]).toEqual({
      user_id: userId,
      master_key: expect.objectContaining({ usage: ["master"] }),
      self_signing_key: expect.objectContaining({ usage: ["self_signing"] }),
    });
  });
});

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
