import { beforeEach, describe, expect, test } from "vitest";
import { after, LIST, Stage, type User } from "./testing.ts";

const stage = Stage.set();
const room = async (...it: Parameters<Stage["room"]>) => await stage.room(...it);
const act = async (...it: Parameters<Stage["act"]>) => await stage.act(...it);
const say = async (...it: Parameters<Stage["say"]>) => await stage.say(...it);
const sync = async (...it: Parameters<Stage["sync"]>) => await stage.sync(...it);
let alice: User;
let bob: User;
beforeEach(() => ({ alice, bob } = stage));

describe("extensions", () => {
  test("tell of account data, receipts and typing in the rooms that are asked for", async () => {
    const roomId = await room(alice);
    await act(bob, "POST", `join/${roomId}`);
    const eventId = await say(alice, roomId, "hello");
    const on = { enabled: true };
    const extensions = { account_data: on, receipts: on, typing: on };
    await act(alice, "PUT", `user/${alice.id}/account_data/org.example`, { n: 1 });
    await act(alice, "PUT", `user/${alice.id}/rooms/${roomId}/account_data/org.example`, { n: 2 });
    await act(bob, "POST", `rooms/${roomId}/receipt/m.read/${eventId}`);
    const lists = { all: LIST };
    const first = await sync(alice, { lists, extensions });
    const { account_data, receipts, typing } = first.extensions ?? {};
    expect(account_data?.global).toContainEqual({ type: "org.example", content: { n: 1 } });
    expect(account_data?.global?.map((it) => it.type)).toContain("m.push_rules");
    expect(account_data?.rooms).toEqual({
      [roomId]: [{ type: "org.example", content: { n: 2 } }],
    });
    expect(receipts?.rooms[roomId]?.content).toHaveProperty([eventId, "m.read", bob.id]);
    expect(typing).toBeUndefined();

    await act(bob, "PUT", `rooms/${roomId}/typing/${bob.id}`, { typing: true, timeout: 30_000 });
    const second = await sync(alice, { lists, extensions }, after(first));
    expect(second.extensions).toEqual({
      typing: { rooms: { [roomId]: { type: "m.typing", content: { user_ids: [bob.id] } } } },
    });
    expect((await sync(alice, { lists, extensions }, after(second))).extensions).toEqual({});
  });

  test("tell of what happened while a room was out of the window", async () => {
    const roomId = await room(alice);
    await act(bob, "POST", `join/${roomId}`);
    const eventId = await say(alice, roomId, "hello");
    const extensions = { receipts: { enabled: true } };
    const first = await sync(alice, { lists: { all: LIST }, extensions });
    await act(bob, "POST", `rooms/${roomId}/receipt/m.read/${eventId}`);
    const without = await sync(alice, { lists: {}, extensions }, after(first));
    expect(without.extensions).toEqual({});
    const again = await sync(
      alice,
      { lists: { all: LIST }, extensions },
      after(without),
      stage.other,
    );
    expect(again.extensions?.receipts?.rooms[roomId]?.content).toHaveProperty([
      eventId,
      "m.read",
      bob.id,
    ]);
  });

  test("tell of messages to the device until it says that it has got them", async () => {
    const send = async (n: number) =>
      await act(bob, "PUT", `sendToDevice/org.example/t${n}`, {
        messages: { [alice.id]: { "*": { n } } },
      });
    for (const n of [1, 2, 3]) await send(n);
    const asked = async (to_device: object, pos = "") =>
      (await sync(alice, { extensions: { to_device: { enabled: true, ...to_device } } }, pos))
        .extensions?.to_device;
    const numbers = (told: Awaited<ReturnType<typeof asked>>) =>
      told?.events.map((it) => it.content.n);
    const first = await asked({ limit: 2 });
    expect(numbers(first)).toEqual([1, 2]);
    expect(numbers(await asked({ limit: 2 }))).toEqual([1, 2]);
    const second = await asked({ limit: 2, since: first?.next_batch });
    expect(numbers(second)).toEqual([3]);
    expect(numbers(await asked({}))).toEqual([3]);
    expect(numbers(await asked({ since: second?.next_batch }))).toEqual([]);
    expect(numbers(await asked({}))).toEqual([]);
  });

  test("tell of keys that are used up, and of devices that are new", async () => {
    const roomId = await room(alice);
    const e2ee = { extensions: { e2ee: { enabled: true } } };
    const first = await sync(alice, e2ee);
    expect(first.extensions?.e2ee).toEqual({
      device_one_time_keys_count: { signed_curve25519: 0 },
      device_unused_fallback_key_types: [],
    });
    const waiting = sync(alice, e2ee, `${after(first)}&timeout=10000`);
    await act(bob, "POST", `join/${roomId}`);
    expect((await waiting).extensions?.e2ee?.device_lists).toMatchObject({ changed: [bob.id] });
  });

  test("answer a client that has made keys, also where it asks for nothing but them", async () => {
    const roomId = await room(alice);
    await act(bob, "POST", `join/${roomId}`);
    const keys = { conn_id: "encryption", extensions: { e2ee: { enabled: true } } };
    const first = await sync(alice, keys);
    let answered = 0;
    const waiting = sync(alice, keys, `${after(first)}&timeout=20000`, stage.other);
    void waiting.then(() => answered++);
    // Neither what others say nor what is said in clear is worth an answer.
    await act(bob, "PUT", `rooms/${roomId}/send/m.room.encrypted/b`, { ciphertext: "b" });
    await say(alice, roomId, "in clear");
    const before = await sync(alice, keys, `${after(first)}&timeout=300`);
    expect(answered).toBe(0);
    await act(alice, "PUT", `rooms/${roomId}/send/m.room.encrypted/a`, { ciphertext: "a" });
    const told = await waiting;
    expect(told.pos).not.toBe(before.pos);
    expect(told.extensions?.e2ee).toHaveProperty("device_one_time_keys_count");
    expect(told.rooms ?? {}).toEqual({});
  });

  test("tell of profiles, whole at first and then what is changed of them", async () => {
    const roomId = await room(alice);
    await act(bob, "PUT", `profile/${bob.id}/org.example.mood`, { "org.example.mood": "glad" });
    await act(bob, "POST", `join/${roomId}`);
    const name = "org.matrix.msc4262.profiles";
    const fields = ["org.example.mood", "displayname"];
    const body = { lists: { all: LIST }, extensions: { [name]: { enabled: true, fields } } };
    const first = await sync(alice, body);
    expect(first.extensions?.[name]?.users[bob.id]).toEqual({
      updated: { "org.example.mood": "glad", displayname: expect.any(String) },
    });
    const waiting = sync(alice, body, `${after(first)}&timeout=10000`, stage.other);
    await act(bob, "PUT", `profile/${bob.id}/org.example.mood`, { "org.example.mood": "sad" });
    const second = await waiting;
    expect(second.extensions?.[name]?.users).toEqual({
      [bob.id]: { updated: { "org.example.mood": "sad" } },
    });
    await act(bob, "DELETE", `profile/${bob.id}/org.example.mood`);
    await act(bob, "PUT", `profile/${bob.id}/org.example.other`, { "org.example.other": 1 });
    const third = await sync(alice, body, `${after(second)}&timeout=10000`);
    expect(third.extensions?.[name]?.users).toEqual({
      [bob.id]: { removed: ["org.example.mood"] },
    });
    expect((await sync(alice, body, after(third))).extensions).toEqual({});
    const gone = sync(alice, body, `${after(third)}&timeout=10000`, stage.other);
    await act(bob, "POST", `rooms/${roomId}/leave`);
    expect((await gone).extensions?.[name]?.users).toEqual({ [bob.id]: null });
  });
});
