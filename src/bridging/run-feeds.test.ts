import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { registerSenders } from "#src/accounts/appservice-users.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { runFeeds } from "./run-feeds.ts";
import { AS_TOKEN, testAppservice, type TestAppservice } from "./testing.ts";

const FAST = {
  pauseMs: 5,
  lookMs: 200,
  standbyMs: 20,
  firstRetryMs: 20,
  lastRetryMs: 200,
  timeoutMs: 1_000,
};
const PATIENCE = { timeout: 15_000, interval: 20 };

let bridge: TestAppservice;
let homes: TestHomeservers;
let hs: Homeserver;
let here: Ask;
let there: Ask;
let alice: { user_id: string; access_token: string; device_id: string };

beforeAll(async () => {
  bridge = await testAppservice();
  const files = { ARCHIPEL_APPSERVICES_FILES: JSON.stringify([bridge.file]) };
  homes = await testHomeservers(2, { ...LENIENT, ...files }, (it) => [runFeeds(it, FAST)]);
  const [first, second] = homes.all;
  if (!first || !second) throw new RangeError("two homeservers are needed");
  hs = first;
  here = asking(first);
  there = asking(second);
  await registerSenders(hs);
  alice = await registered(here, "alice");
  // Begins only with what happens after it is there.
  const feeds = async () => await hs.sql`select 1 from appservice_feeds`;
  await vi.waitUntil(async () => (await feeds()).length === 1, PATIENCE);
});
afterAll(async () => {
  await homes.close();
  await bridge.close();
});
beforeEach(() => bridge.answer(() => ({ status: 200 })));

const token = AS_TOKEN;
let count = 0;
async function newGhost(): Promise<string> {
  const username = `_b_${++count}`;
  const body = { type: "m.login.application_service", username, inhibit_login: true };
  return (await here("POST", "register", { token, body })).body.user_id;
}
const as = (userId: string) => `user_id=${encodeURIComponent(userId)}`;
const inRoom = (roomId: string) => `rooms/${encodeURIComponent(roomId)}`;

/** A room of Alice's, with a new ghost in it. */
async function bridged(): Promise<{ roomId: string; ghost: string }> {
  const ghost = await newGhost();
  const made = await here("POST", "createRoom", {
    token: alice.access_token,
    body: { preset: "public_chat" },
  });
  const roomId: string = made.body.room_id;
  expect(
    (await here("POST", `${inRoom(roomId)}/join?${as(ghost)}`, { token, body: {} })).status,
  ).toBe(200);
  return { roomId, ghost };
}

async function say(roomId: string, text: string, ask = here): Promise<string> {
  const path = `${inRoom(roomId)}/send/m.room.message/${++count}`;
  const body = { msgtype: "m.text", body: text };
  const answer = await ask("PUT", path, { token: alice.access_token, body });
  expect(answer.status).toBe(200);
  return answer.body.event_id;
}

/** What the bridge is told, as far as the tests go by it. */
const Transaction = z.looseObject({
  events: z.array(
    z.looseObject({
      type: z.string(),
      room_id: z.string(),
      state_key: z.string().optional(),
      content: z.looseObject({ body: z.string().optional() }),
      unsigned: z
        .looseObject({
          invite_room_state: z
            .array(z.object({ type: z.string(), state_key: z.string() }))
            .optional(),
        })
        .optional(),
    }),
  ),
  ephemeral: z.array(z.looseObject({ type: z.string() })).optional(),
  to_device: z.array(z.unknown()).optional(),
  device_lists: z.looseObject({ changed: z.array(z.string()).optional() }).optional(),
});
const transactions = () => bridge.got.filter((it) => it.path.includes("/transactions/"));
/** What it has taken to be told, each transaction once, as it keeps them apart. */
const told = () =>
  [...new Map(transactions().map((it) => [it.path, it.body])).values()].map((it) =>
    Transaction.parse(it),
  );
const events = () => told().flatMap((it) => it.events);
const texts = () => events().flatMap((it) => it.content.body ?? []);
const eventually = async (check: () => void | Promise<void>) => {
  await vi.waitFor(check, PATIENCE);
};

test("tells of what happens where a user of its is, in order, once, whoever writes it", async () => {
  const { roomId, ghost } = await bridged();
  for (let number = 0; number < 20; number++) {
    await say(roomId, `in order ${number}`, number % 2 === 0 ? here : there);
  }
  const wanted = Array.from({ length: 20 }, (_, number) => `in order ${number}`);
  const mine = () => texts().filter((it) => it.startsWith("in order"));
  await eventually(() => expect(mine()).toEqual(wanted));
  const join = events().find((it) => it.state_key === ghost);
  expect(join).toMatchObject({ type: "m.room.member", room_id: roomId, sender: ghost });
  for (const it of transactions()) {
    expect(it).toMatchObject({ method: "PUT", authorization: "Bearer token-of-the-server" });
    expect(it.path).toMatch(/^\/base\/_matrix\/app\/v1\/transactions\/\d+$/);
  }
});

test("tells nothing of rooms that are no concern of its, and none of what was said when it was away", async () => {
  const { roomId, ghost } = await bridged();
  const other = await here("POST", "createRoom", { token: alice.access_token, body: {} });
  await say(other.body.room_id, "private");
  // What happened in its presence it is told, however late; the rest not.
  bridge.answer(() => ({ status: 500 }));
  await say(roomId, "before the ghost has left");
  await here("POST", `${inRoom(roomId)}/leave?${as(ghost)}`, { token, body: {} });
  await say(roomId, "after the ghost has left");
  await here("POST", `${inRoom(roomId)}/join?${as(ghost)}`, { token, body: {} });
  await say(roomId, "the ghost is back");
  bridge.answer(() => ({ status: 200 }));
  await eventually(() => expect(texts()).toContain("the ghost is back"));
  expect(texts()).toContain("before the ghost has left");
  expect(texts()).not.toContain("after the ghost has left");
  expect(texts()).not.toContain("private");
});

test("tells of invitations of its users, and what the rooms are like", async () => {
  const ghost = await newGhost();
  const body = { invite: [ghost], name: "Lighthouse" };
  const room = await here("POST", "createRoom", { token: alice.access_token, body });
  const invitation = () =>
    events().find((it) => it.state_key === ghost && it.room_id === room.body.room_id);
  await eventually(() => expect(invitation()).toBeDefined());
  expect(invitation()).toMatchObject({ type: "m.room.member", content: { membership: "invite" } });
  const state = invitation()?.unsigned?.invite_room_state;
  const told = state?.map((it) => [it.type, it.state_key]);
  expect(told).toContainEqual(["m.room.name", ""]);
  expect(told).toContainEqual(["m.room.create", ""]);
  expect(told).toContainEqual(["m.room.member", alice.user_id]);
  expect(told).not.toContainEqual(["m.room.member", ghost]);
});

test("says the same under the same number until it is taken, and then what has come since", async () => {
  const { roomId } = await bridged();
  await eventually(() => expect(events().some((it) => it.room_id === roomId)).toBe(true));
  const before = transactions().length;
  let attempts = 0;
  bridge.answer((it) => {
    if (!it.path.includes("/transactions/")) return { status: 200 };
    attempts++;
    // It fails, hangs, and fails once more.
    if (attempts === 2) return undefined;
    return { status: attempts < 4 ? 502 : 200 };
  });
  await say(roomId, "stubborn");
  await eventually(() => expect(attempts).toBeGreaterThan(1));
  await say(roomId, "patient");
  await eventually(() => expect(texts()).toContain("patient"));
  const sent = transactions().slice(before);
  const repeated = sent.filter((it) => it.path === sent[0]?.path);
  expect(repeated.length).toBeGreaterThanOrEqual(4);
  expect(new Set(repeated.map((it) => JSON.stringify(it.body))).size).toBe(1);
  expect(texts().filter((it) => it === "stubborn")).toHaveLength(1);
});

test("goes on where another process has left off, with the same transaction", async () => {
  const { roomId } = await bridged();
  const before = transactions().length;
  bridge.answer(() => ({ status: 500 }));
  await say(roomId, "left behind");
  await eventually(() => expect(transactions().length).toBeGreaterThan(before));
  const { path, body } = transactions()[before] ?? {};
  // As if the process that has it had been killed: its lease ends, and nobody gives it back.
  await hs.sql`update appservice_feeds set holder = 'killed', leased_until_ms = 0, due_ms = 0`;
  const { length } = transactions();
  bridge.answer(() => ({ status: 200 }));
  await eventually(() => expect(transactions().length).toBeGreaterThan(length));
  expect(transactions()[length]).toMatchObject({ path, body });
  await eventually(() => expect(texts()).toContain("left behind"));
});

test("tells a bridge that is back and asks whether it is reached what it has missed, and lets it wait no longer", async () => {
  const { roomId } = await bridged();
  bridge.answer(() => ({ status: 502 }));
  await say(roomId, "missed");
  const failed = async () => await hs.sql`select 1 from appservice_feeds where failures > 0`;
  await vi.waitUntil(async () => (await failed()).length === 1, PATIENCE);
  // As after an outage of hours: what is on its way now, if anything, is over by the second time.
  const postponed = async () => {
    await hs.sql`update appservice_feeds set due_ms = 9e15`;
    await sleep(2 * FAST.lastRetryMs);
    return (await hs.sql`select 1 from appservice_feeds where due_ms = 9e15`).length === 1;
  };
  await vi.waitUntil(postponed, PATIENCE);
  const ask = async () =>
    (await here("POST", "/_matrix/client/v1/appservice/bridge/ping", { token, body: {} })).status;
  expect(await ask()).toBe(502);
  const due = await hs.sql<{ dueMs: number }[]>`select due_ms as "dueMs" from appservice_feeds`;
  expect(due).toEqual([{ dueMs: 9e15 }]);
  const { length } = transactions();
  bridge.answer(() => ({ status: 200 }));
  expect(await ask()).toBe(200);
  await eventually(() => {
    const taken = transactions().slice(length);
    expect(JSON.stringify(taken.map((it) => it.body))).toContain('"missed"');
  });
});

test("tells who types, who has read, and who is there", async () => {
  const { roomId, ghost } = await bridged();
  const eventId = await say(roomId, "read me");
  const { access_token, user_id } = alice;
  const ask = async (method: string, path: string, body: object) =>
    expect((await here(method, path, { token: access_token, body })).status).toBe(200);
  const typing = `${inRoom(roomId)}/typing/${encodeURIComponent(user_id)}`;
  await ask("PUT", typing, { typing: true, timeout: 30_000 });
  const id = encodeURIComponent(eventId);
  await ask("POST", `${inRoom(roomId)}/receipt/m.read/${id}`, {});
  await ask("PUT", `presence/${encodeURIComponent(user_id)}/status`, { presence: "unavailable" });
  const ephemeral = () => told().flatMap((it) => it.ephemeral ?? []);
  await eventually(() => {
    const all = ephemeral();
    const room_id = roomId;
    expect(all).toContainEqual({ type: "m.typing", room_id, content: { user_ids: [user_id] } });
    const receipt = { [eventId]: { "m.read": { [user_id]: { ts: expect.any(Number) } } } };
    expect(all).toContainEqual({ type: "m.receipt", room_id, content: receipt });
    expect(all).toContainEqual(
      expect.objectContaining({
        type: "m.presence",
        sender: user_id,
        content: expect.objectContaining({ presence: "unavailable" }),
      }),
    );
  });
  // What only its author may know of it does not hear; what only its users may know it does.
  const secret = `${inRoom(roomId)}/receipt/m.read.private/${encodeURIComponent(await say(roomId, "x"))}`;
  await ask("POST", secret, {});
  expect((await here("POST", `${secret}?${as(ghost)}`, { token, body: {} })).status).toBe(200);
  await eventually(() => expect(JSON.stringify(ephemeral())).toContain("m.read.private"));
  const hidden = ephemeral()
    .map((it: object) => JSON.stringify(it))
    .filter((it) => it.includes("m.read.private"));
  expect(hidden.join()).toContain(ghost);
  expect(hidden.join()).not.toContain(user_id);
});

test("brings messages to its users' devices, with what keys these have left, and keeps none that it took", async () => {
  const { ghost } = await bridged();
  const device = `devices/DEV?${as(ghost)}`;
  expect((await here("PUT", device, { token, body: {} })).status).toBe(201);
  bridge.answer(() => ({ status: 500 }));
  const body = {
    messages: { [ghost]: { DEV: { secret: 1 } }, [alice.user_id]: { "*": { own: 1 } } },
  };
  await there("PUT", `sendToDevice/x.secret/${++count}`, { token: alice.access_token, body });
  const waiting = async () =>
    (await hs.sql`select 1 from to_device join devices using (device_key) where device_id = 'DEV'`)
      .length;
  expect(await waiting()).toBe(1);
  bridge.answer(() => ({ status: 200 }));
  await eventually(async () => expect(await waiting()).toBe(0));
  const [it] = told().filter((one) => one.to_device);
  const event = {
    type: "x.secret",
    sender: alice.user_id,
    content: { secret: 1 },
    to_user_id: ghost,
    to_device_id: "DEV",
  };
  if (!it) throw new Error("there is no transaction with a message to a device");
  expect(it.to_device).toEqual([event]);
  expect(it["de.sorunome.msc2409.to_device"]).toEqual([event]);
  const counts = { [ghost]: { DEV: { signed_curve25519: 0 } } };
  expect(it.device_one_time_keys_count).toEqual(counts);
  expect(it["org.matrix.msc3202.device_one_time_keys_count"]).toEqual(counts);
  expect(it["org.matrix.msc3202.device_unused_fallback_key_types"]).toEqual({
    [ghost]: { DEV: [] },
  });
  // Alice's are hers.
  const sync = await here("GET", "sync", { token: alice.access_token });
  expect(sync.body.to_device?.events).toHaveLength(1);
});

test("tells whose devices have changed of those who share a room with its users", async () => {
  const { ghost } = await bridged();
  const stranger = await registered(here, "stranger");
  const second = { type: "m.login.password", user: "alice", password: "secret" };
  await here("POST", "login", { body: { ...second, user: "stranger" } });
  await here("POST", "login", { body: second });
  const changed = () => told().flatMap((it) => it.device_lists?.changed ?? []);
  await here("PUT", `devices/NEW?${as(ghost)}`, { token, body: {} });
  await eventually(() => {
    expect(changed()).toContain(alice.user_id);
    expect(changed()).toContain(ghost);
  });
  expect(changed()).not.toContain(stranger.user_id);
});
