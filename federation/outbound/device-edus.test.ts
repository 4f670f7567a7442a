import { afterAll, describe, expect, test } from "vitest";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import { lastUpdateNumber } from "#src/devices/device-updates.ts";
import { sendToDevice } from "#src/devices/send-to-device.ts";
import { encryptionStream } from "#src/encryption/encryption-stream.ts";
import { ownDeviceList } from "#src/encryption/own-device-list.ts";
import { crossSigningKey, deviceKeysOf, testDevice, testKey } from "#src/encryption/testing.ts";
import { uploadKeys } from "#src/encryption/upload-keys.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { write } from "#src/streams/write.ts";
import { asking, registered } from "#src/testing-http.ts";
import { QUICK, type Recorder, sharedRoom, told, WAIT, recordedFederation } from "./testing.ts";

const { federation, hs1, one, two } = await recordedFederation({
  ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300",
});
afterAll(async () => await federation.close());

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
