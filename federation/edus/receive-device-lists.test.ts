import { afterAll, describe, expect, test } from "vitest";
import { crossSigningKey, deviceKeysOf, testKey } from "#src/encryption/testing.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { tellingServers } from "./testing.ts";

const { hs1, hs2, ask1, ask2, alice, bob, room, sync, say, close } = await tellingServers();
afterAll(close);

describe("lists of devices", () => {
  const keysOf = (deviceId: string, user: UserId = bob.user_id) =>
    deviceKeysOf({ userId: user, deviceId });
  const query = async (userId: UserId = bob.user_id) => {
    const body = { device_keys: { [userId]: [] } };
    const answer = await ask1("POST", "keys/query", { token: alice.access_token, body });
    expect(answer.status).toBe(200);
    return answer.body;
  };
  const devicesOf = async () =>
    Object.keys((await query()).device_keys[bob.user_id] ?? {}).toSorted();
  const isTold = async () => {
    let told = false;
    await expect
      .poll(
        async () => (told ||= (await sync()).device_lists?.changed?.includes(bob.user_id) === true),
      )
      .toBe(true);
  };
  /** The number of the last change of bob's list, which hs2 gives. */
  const streamId = async () => {
    const answer = await hs1.hs.remotes.getUserDevices(hs2.name, { userId: bob.user_id });
    if (!answer.ok) throw new Error("no answer");
    return answer.body.stream_id;
  };
  const change = (device_id: string, stream_id: number, prev_id: number[], further: object = {}) =>
    [
      "m.device_list_update",
      {
        user_id: bob.user_id,
        device_id,
        stream_id,
        prev_id,
        keys: keysOf(device_id),
        ...further,
      },
    ] as [string, object];
  /** How often hs2 was asked since this was asked last. */
  let asked = 0;
  const requests = async () => {
    const [row] = await hs1.hs.sql<{ count: number }[]>`
      select max(asked_at) as count from remote_device_lists`;
    const now = row?.count ?? 0;
    const isNew = now > asked;
    asked = now;
    return isNew;
  };

  test("are asked for once, and then kept true by what is told of changes", async () => {
    const body = { device_keys: keysOf(bob.device_id) };
    await ask2("POST", "keys/upload", { token: bob.access_token, body });
    expect(await devicesOf()).toEqual([bob.device_id]);
    expect(await requests()).toBe(true);
    const from = await streamId();
    const keys = keysOf("NEW");
    await say(change("NEW", from + 1, [from], { keys, device_display_name: "New" }));
    await isTold();
    const { device_keys, failures } = await query();
    expect(device_keys[bob.user_id]?.["NEW"]).toEqual({
      ...keys,
      unsigned: { device_display_name: "New" },
    });
    expect(failures).toEqual({});
    const last = change("OTHER", from + 3, [from + 2]);
    await say(change("NEW", from + 2, [from + 1], { deleted: true, keys: undefined }), last);
    // What is in it already is no news.
    await say(last);
    await isTold();
    expect(await devicesOf()).toEqual([bob.device_id, "OTHER"].toSorted());
    expect(await requests()).toBe(false);
  });

  test("are asked for again where something was missed", async () => {
    const from = await streamId();
    await say(change("LATER", from + 9, [from + 8]));
    await isTold();
    // hs2 knows nothing of what was said in its name.
    expect(await devicesOf()).toEqual([bob.device_id]);
    expect(await requests()).toBe(true);
    await expect.poll(devicesOf).toEqual([bob.device_id]);
  });

  test("are asked for again whenever a server says only that something has changed", async () => {
    await devicesOf();
    for (let times = 0; times < 2; times++) {
      await requests();
      await say(change("placeholder", 1, [], { keys: undefined }));
      await isTold();
      expect(await devicesOf()).toEqual([bob.device_id]);
      expect(await requests()).toBe(true);
    }
  });

  test("are asked for again where a number comes again that says something else", async () => {
    const from = await streamId();
    await say(change("MADE", from + 1, [from]), change("MADE", from + 2, [from + 1]));
    await isTold();
    expect(await devicesOf()).toEqual([bob.device_id, "MADE"].toSorted());
    await requests();
    // As a server says it that counts on from the newest device that it still has.
    await say(change("MADE", from + 1, [from], { deleted: true, keys: undefined }));
    await isTold();
    expect(await devicesOf()).toEqual([bob.device_id]);
    expect(await requests()).toBe(true);
  });

  test("are not believed from before the user was away", async () => {
    await requests();
    await room.move(bob.user_id, "leave");
    await room.move(bob.user_id, "join");
    expect(await devicesOf()).toEqual([bob.device_id]);
    expect(await requests()).toBe(true);
    expect(await devicesOf()).toEqual([bob.device_id]);
    expect(await requests()).toBe(false);
  });

  test("have cross-signing keys, which may be signed here", async () => {
    const [master, selfSigning] = [testKey(), testKey()];
    const master_key = crossSigningKey(bob.user_id, "master", master);
    const self_signing_key = crossSigningKey(bob.user_id, "self_signing", selfSigning);
    await say(["m.signing_key_update", { user_id: bob.user_id, master_key, self_signing_key }]);
    await isTold();
    const { master_keys, self_signing_keys, user_signing_keys } = await query();
    expect(master_keys[bob.user_id]).toEqual(master_key);
    expect(self_signing_keys[bob.user_id]).toEqual(self_signing_key);
    expect(user_signing_keys).toEqual({});
    const other = crossSigningKey(bob.user_id, "master", testKey());
    await say(
      ["m.signing_key_update", { user_id: alice.user_id, master_key: other }],
      ["m.signing_key_update", { user_id: bob.user_id, master_key: other }],
    );
    await isTold();
    expect((await query()).master_keys[bob.user_id]).toEqual(other);
    expect((await query(alice.user_id)).master_keys).toEqual({});
  });

  test("have an end, however many devices are told of, and however long their keys are", async () => {
    expect(await devicesOf()).toEqual([bob.device_id]);
    const [own] = await hs1.hs.sql<{ user_key: number }[]>`
      select user_key from users where user_id = ${bob.user_id}`;
    const from = await streamId();
    const long = { ...keysOf("LONG"), padding: "x".repeat(40_000) };
    await say(change("LONG", from + 1, [from], { keys: long }));
    await hs1.hs.sql`
      insert into remote_devices (user_key, device_id, json)
      select ${own?.user_key ?? 0}::bigint, 'MANY' || number, '{}' from generate_series(1, 9998) as number`;
    await say(
      change("LAST", from + 2, [from + 1]),
      change("TOO-MANY", from + 3, [from + 2]),
      change("LAST", from + 4, [from + 3], { deleted: true, keys: undefined }),
    );
    const stored = async () =>
      await hs1.hs.sql<{ device_id: string }[]>`
        select device_id from remote_devices
        where user_key = ${own?.user_key ?? 0} and device_id not like 'MANY%'`;
    expect((await stored()).map((it) => it.device_id)).toEqual([bob.device_id]);
    await hs1.hs.sql`delete from remote_devices where device_id like 'MANY%'`;
    await say(change("NEXT", from + 5, [from + 4]));
    expect(await devicesOf()).toEqual([bob.device_id, "NEXT"].toSorted());
  });

  test("are of no concern where no room is shared", async () => {
    const stranger: UserId = `@stranger:${hs2.name}`;
    const told = { user_id: stranger, device_id: "D", stream_id: 1, prev_id: [] };
    await say(["m.device_list_update", told]);
    const rows = await hs1.hs.sql`
      select from device_lists join users using (user_key) where user_id = ${stranger}`;
    expect(rows.count).toBe(0);
  });
});
