import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crossSigningKey, deviceKeysOf, testKey } from "#src/encryption/testing.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { asking, type Ask, registered } from "#src/testing-http.ts";
import {
  type FederatedHomeserver,
  sharedRoom,
  type SharedRoom,
  testFederation,
} from "../testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let hs2: FederatedHomeserver;
let ask1: Ask;
let ask2: Ask;
type Registered = { access_token: string; user_id: UserId; device_id: string };
let alice: Registered;
let bob: Registered;
let room: SharedRoom;
let since: string | undefined;

beforeAll(async () => {
  hs1 = await federation.open({ processes: 2 });
  // What it says is said by hand.
  hs2 = await federation.open({ host: "hs2.test", isSilent: true });
  [ask1, ask2] = [asking(hs1.all[1] ?? hs1.hs), asking(hs2.hs)];
  alice = await registered(ask1, "alice");
  bob = await registered(ask2, "bob");
  room = await sharedRoom([hs1.hs, hs2.hs], [bob.user_id, alice.user_id]);
  await sync();
});
afterAll(async () => await federation.close());

/** What is new to alice, who asks another process than the one that is told. */
async function sync() {
  const path = `sync?timeout=0${since === undefined ? "" : `&since=${since}`}`;
  const { body } = await ask1("GET", path, { token: alice.access_token });
  since = body.next_batch;
  return body;
}

/** What the second server says to the first. */
async function say(...edus: readonly [edu_type: string, content: object][]) {
  await send(edus.map(([edu_type, content]) => ({ edu_type, content })));
}

let transactions = 0;

async function send(edus: readonly unknown[]) {
  const sent = await hs2.hs.remotes.sendTransaction(hs1.name, {
    txnId: `t${transactions++}`,
    origin_server_ts: 5,
    pdus: [],
    edus: edus.map((it) => JSON.stringify(it)),
  });
  expect(sent).toEqual({ ok: true, body: { pdus: new Map() } });
}

async function ephemeral(type: string) {
  const joined = (await sync()).rooms?.join?.[room.roomId];
  return joined?.ephemeral?.events.find((it: { type: string }) => it.type === type)?.content;
}

describe("typing", () => {
  const typing = (user_id: string, is = true, room_id: string = room.roomId) =>
    ["m.typing", { room_id, user_id, typing: is }] as [string, object];

  test("is seen in the room until it ends", async () => {
    await say(typing(bob.user_id));
    await expect.poll(() => ephemeral("m.typing")).toEqual({ user_ids: [bob.user_id] });
    await say(typing(bob.user_id), typing(bob.user_id, false));
    await expect.poll(() => ephemeral("m.typing")).toEqual({ user_ids: [] });
  });

  test("is no server's to say of users of others, or of users and rooms that are not there", async () => {
    await say(typing(alice.user_id), typing(`@x:${hs2.name}`), typing(bob.user_id, true, "!x:y"));
    await say(["m.typing", { room_id: 5 }], ["m.typing", {}], ["m.unknown", {}]);
    await send([null, 5, "x", {}, { edu_type: "m.typing" }]);
    await say(typing(bob.user_id));
    await expect.poll(() => ephemeral("m.typing")).toEqual({ user_ids: [bob.user_id] });
  });
});

describe("receipts", () => {
  const receipt = (event_id: string, user_id: string = bob.user_id, data: object = { ts: 5 }) =>
    [
      "m.receipt",
      { [room.roomId]: { "m.read": { [user_id]: { event_ids: [event_id], data } } } },
    ] as [string, object];
  const text = { type: "m.room.message", content: { msgtype: "m.text", body: "x" } };

  test("are seen in the room, each at its event and in its thread", async () => {
    const [one, other] = [await room.send(bob.user_id, text), await room.send(bob.user_id, text)];
    await say(
      receipt(one),
      receipt(other, bob.user_id, { ts: 6, thread_id: "main" }),
      receipt(one, alice.user_id),
      receipt(one, bob.user_id, { ts: 7, thread_id: 5 }),
    );
    await expect
      .poll(() => ephemeral("m.receipt"))
      .toEqual({
        [one]: { "m.read": { [bob.user_id]: { ts: 5 } } },
        [other]: { "m.read": { [bob.user_id]: { ts: 6, thread_id: "main" } } },
      });
  });

  test("wait for their events", async () => {
    const hidden = await sharedRoom([hs2.hs], [bob.user_id, `@c:${hs2.name}`]);
    const id = await hidden.send(bob.user_id, text);
    await say(receipt(id));
    // It is of another room: nobody is told.
    expect(await ephemeral("m.receipt")).toBeUndefined();
    let early: EventId | undefined;
    const sent = room.send(bob.user_id, text, async (it) => {
      early = it;
      await say(receipt(it));
    });
    await sent;
    await expect
      .poll(() => ephemeral("m.receipt"))
      .toEqual({ [early ?? ""]: { "m.read": { [bob.user_id]: { ts: 5 } } } });
  });
});

test("who is there is seen by those who share a room, and said by their own server", async () => {
  const presence = (push: unknown[]) => ["m.presence", { push }] as [string, object];
  const user_id = bob.user_id;
  await say(
    presence([
      { user_id, presence: "unavailable" },
      { user_id, presence: "online", status_msg: "hello", last_active_ago: 5_000 },
      { user_id: alice.user_id, presence: "unavailable", status_msg: "not she" },
      { user_id: `@stranger:${hs2.name}`, presence: "online" },
      { user_id, presence: "asleep" },
      null,
    ]),
    presence([]),
    ["m.presence", {}],
  );
  const events: { sender: string; content: object }[] = [];
  await expect
    .poll(
      async () => {
        events.push(...((await sync()).presence?.events ?? []));
        return events.filter((it) => it.sender === user_id);
      },
      { timeout: 20_000 },
    )
    .toMatchObject([{ content: { presence: "online", status_msg: "hello" } }]);
  expect(JSON.stringify(events)).not.toContain("not she");
  const status = await ask1("GET", `presence/${user_id}/status`, { token: alice.access_token });
  expect(status.body).toMatchObject({ presence: "online", currently_active: true });
  expect(status.body.last_active_ago).toBeGreaterThanOrEqual(5_000);
  const known = await hs1.hs.sql`select from presence where not local`;
  expect(known.count).toBe(1);
});

test("messages to devices come once, however often they are brought", async () => {
  const message = (message_id: string, sender = bob.user_id) =>
    [
      "m.direct_to_device",
      {
        sender,
        type: "x.y",
        message_id,
        messages: {
          [alice.user_id]: { [alice.device_id]: { message_id }, NONE: {} },
          [`@nobody:${hs1.name}`]: { "*": {} },
          [bob.user_id]: { "*": {} },
          nonsense: { "\0": {} },
        },
      },
    ] as [string, object];
  await say(message("1"), message("1"), message("2", alice.user_id));
  await say(message("3"), message("1"));
  const events: object[] = [];
  await expect
    .poll(async () => {
      events.push(...((await sync()).to_device?.events ?? []));
      return events;
    })
    .toEqual(
      ["1", "3"].map((message_id) => ({
        sender: bob.user_id,
        type: "x.y",
        content: { message_id },
      })),
    );
  await say(message("1"));
  expect((await sync()).to_device).toBeUndefined();
});

describe("lists of devices", () => {
  const keysOf = (deviceId: string, user: UserId = bob.user_id) =>
    deviceKeysOf({ userId: user, deviceId });
  const query = async (userId: UserId = bob.user_id) => {
    const body = { device_keys: { [userId]: [] } };
    const answer = await ask1("POST", "keys/query", { token: alice.access_token, body });
    expect(answer.status).toBe(200);
    return answer.body;
  };
  const devicesOf = async () => Object.keys((await query()).device_keys[bob.user_id]).toSorted();
  const isTold = async () => {
    let told = false;
    await expect
      .poll(async () => (told ||= (await sync()).device_lists?.changed?.includes(bob.user_id)))
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
    expect(device_keys[bob.user_id].NEW).toEqual({
      ...keys,
      unsigned: { device_display_name: "New" },
    });
    expect(failures).toEqual({});
    await say(
      change("NEW", from + 2, [from + 1], { deleted: true, keys: undefined }),
      change("OTHER", from + 3, [from + 2]),
      // What is in it already is not taken back.
      change("NEW", from + 1, [from]),
    );
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

  test("are of no concern where no room is shared", async () => {
    const stranger: UserId = `@stranger:${hs2.name}`;
    const told = { user_id: stranger, device_id: "D", stream_id: 1, prev_id: [] };
    await say(["m.device_list_update", told]);
    const rows = await hs1.hs.sql`
      select from device_lists join users using (user_key) where user_id = ${stranger}`;
    expect(rows.count).toBe(0);
  });
});

// Last: whoever shares another room is believed for longer.
test("what users do is not heard of in rooms that deny their server", async () => {
  const denying = await sharedRoom([hs1.hs], [bob.user_id, alice.user_id]);
  await denying.send(bob.user_id, {
    type: "m.room.server_acl",
    state_key: "",
    content: { allow: ["*"], deny: ["hs2.*"] },
  });
  const event_id = await denying.send(bob.user_id, { type: "m.room.message", content: {} });
  const read = { "m.read": { [bob.user_id]: { event_ids: [event_id], data: { ts: 5 } } } };
  await say(
    ["m.typing", { room_id: denying.roomId, user_id: bob.user_id, typing: true }],
    ["m.receipt", { [denying.roomId]: read }],
  );
  const { typing, receipts } = (
    await hs1.hs.sql`
      select (select count(*) from typing where typing.room_key = rooms.room_key) as typing,
        (select count(*) from receipts where receipts.room_key = rooms.room_key) as receipts
      from rooms where room_id = ${denying.roomId}`
  )[0] as { typing: number; receipts: number };
  expect({ typing, receipts }).toEqual({ typing: 0, receipts: 0 });
});
