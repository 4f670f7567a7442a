import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { processIdOf } from "#src/streams/presence.ts";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import type { SyncAnswer } from "../../spec-tests/answers.ts";
import { Attendance } from "./attendance.ts";
import { endAbsentPresence, forgetPresence } from "./job-end-presence.ts";
import { presenceBookOf } from "./known-presence.ts";

let servers: TestHomeservers;
let one: Homeserver;
let other: Homeserver;
let onOne: Ask;
let onOther: Ask;
let users = 0;

beforeAll(async () => {
  servers = await testHomeservers(2, LENIENT);
  [one, other] = servers.all as [Homeserver, Homeserver];
  [onOne, onOther] = [asking(one), asking(other)];
});
afterAll(async () => await servers.close());

type User = { readonly token: string; readonly userId: `@${string}:${string}` };

async function user(): Promise<User> {
  const { access_token, user_id } = await registered(onOne, `user${users++}`);
  return { token: access_token, userId: user_id };
}

/** Two who share a room. */
async function friends(): Promise<[User, User]> {
  const [alice, bob] = [await user(), await user()];
  const body = { preset: "public_chat" };
  const { room_id } = (await onOne("POST", "createRoom", { token: alice.token, body })).body;
  await onOne("POST", `join/${encodeURIComponent(room_id)}`, { token: bob.token, body: {} });
  return [alice, bob];
}

/** Syncs without being taken for there. */
async function sync(ask: Ask, { token }: User, query = "") {
  const answer = await ask("GET", `sync?timeout=0&set_presence=offline${query}`, { token });
  expect(answer.status).toBe(200);
  return answer.body;
}

const of = ({ userId }: User, { presence }: SyncAnswer) =>
  presence?.events.filter((it) => it.sender === userId).map((it) => it.content["presence"]) ?? [];

const statusPath = ({ userId }: User) => `presence/${userId}/status`;

/** What a user of the other process sees of another. */
async function seen(by: User, whom: User) {
  return (await onOther("GET", statusPath(whom), { token: by.token })).body;
}

describe("presence", () => {
  test("is that of clients that sync, and is seen by those who share a room", async () => {
    const [alice, bob] = await friends();
    const carol = await user();
    const since = (await sync(onOther, bob)).next_batch;
    expect(await seen(bob, alice)).toEqual({ presence: "offline" });
    await onOne("GET", "sync?timeout=0", { token: alice.token });
    await vi.waitFor(
      async () => {
        const news = await sync(onOther, bob, `&since=${since}`);
        expect(of(alice, news)).toEqual(["online"]);
      },
      { timeout: 20_000 },
    );
    expect(await seen(bob, alice)).toMatchObject({ presence: "online", currently_active: true });
    expect(of(alice, await sync(onOther, bob))).toEqual(["online"]);
    expect(of(alice, await sync(onOther, carol))).toEqual([]);
    const refused = await onOther("GET", statusPath(alice), { token: carol.token });
    expect(refused).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    const filter = encodeURIComponent(JSON.stringify({ presence: { not_types: ["*"] } }));
    expect(await sync(onOther, bob, `&filter=${filter}`)).not.toHaveProperty("presence");
  });

  test("is told to those who wait, and to who comes to a room", async () => {
    const [alice, bob] = await friends();
    const since = (await sync(onOther, bob)).next_batch;
    const path = `sync?timeout=30000&set_presence=offline&since=${since}`;
    const waiting = onOther("GET", path, { token: bob.token });
    const body = { presence: "unavailable", status_msg: "at lunch" };
    await onOne("PUT", statusPath(alice), { token: alice.token, body });
    const told = (await waiting).body.presence?.events;
    expect(told).toMatchObject([{ type: "m.presence", sender: alice.userId, content: body }]);

    const carol = await user();
    const before = (await sync(onOne, carol)).next_batch;
    const made = await onOne("POST", "createRoom", {
      token: alice.token,
      body: { preset: "public_chat" },
    });
    const join = `join/${encodeURIComponent(made.body.room_id)}`;
    const aliceSince = (await sync(onOne, alice)).next_batch;
    await onOne("PUT", statusPath(carol), { token: carol.token, body: { presence: "online" } });
    await onOne("POST", join, { token: carol.token, body: {} });
    expect(of(alice, await sync(onOne, carol, `&since=${before}`))).toEqual(["unavailable"]);
    expect(of(carol, await sync(onOne, alice, `&since=${aliceSince}`))).toEqual(["online"]);
  });

  test("is for oneself to say, and in so many words", async () => {
    const [alice, bob] = await friends();
    const body = { presence: "online" };
    const forOther = await onOne("PUT", statusPath(alice), { token: bob.token, body });
    expect(forOther).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    for (const wrong of [{}, { presence: "here" }, { presence: "online", status_msg: 5 }]) {
      const answer = await onOne("PUT", statusPath(bob), { token: bob.token, body: wrong });
      expect(answer).toMatchObject({ status: 400, body: { errcode: "M_BAD_JSON" } });
    }
    const long = { presence: "online", status_msg: "x".repeat(1_001) };
    expect(await onOne("PUT", statusPath(bob), { token: bob.token, body: long })).toMatchObject({
      body: { errcode: "M_INVALID_PARAM" },
    });
    const path = "sync?set_presence=here";
    expect((await onOne("GET", path, { token: bob.token })).status).toBe(400);
  });
});

test("is not shared by those whom only a room with many brings together", async () => {
  const [alice, bob] = await friends();
  const few = { ...other.config, presence: { ...other.config.presence, maxRoomMembers: 1 } };
  const onFew = asking({ ...other, config: few });
  await onOne("PUT", statusPath(alice), { token: alice.token, body: { presence: "online" } });
  await expect.poll(async () => of(alice, await sync(onOther, bob))).toEqual(["online"]);
  expect(of(alice, await sync(onFew, bob))).toEqual([]);
});

describe("who syncs", () => {
  const times = { goneMs: 50, lookMs: 20, tellMs: 10 };
  const poll = { timeout: 20_000, interval: 20 };
  let here: Attendance;
  let there: Attendance;

  beforeAll(() => {
    here = new Attendance(one, times);
    there = new Attendance(other, times);
  });

  async function newcomer(deviceKey = 1) {
    return { userKey: await userKeyOf(one, `@there${users++}:test`), deviceKey };
  }

  const stateOf = async (userKey: number) =>
    (await presenceBookOf(other).of(userKey))?.state ?? "offline";

  test("is gone a while after the last client has gone, whatever process it asks", async () => {
    const client = await newcomer();
    const leaves = [
      here.arrive(client, "unavailable"),
      there.arrive({ ...client, deviceKey: 2 }, "online"),
    ];
    await expect.poll(() => stateOf(client.userKey), poll).toBe("online");
    leaves[0]?.();
    const syncs = async () =>
      (await one.sql`select from presence_syncs where user_key = ${client.userKey}`).count;
    await expect.poll(syncs, poll).toBe(1);
    expect(await stateOf(client.userKey)).toBe("online");
    leaves[1]?.();
    await expect.poll(() => stateOf(client.userKey), poll).toBe("offline");
    expect(await syncs()).toBe(0);
  });

  test("is gone with the process that died", async () => {
    const client = await newcomer();
    here.arrive(client, "online");
    await expect.poll(() => stateOf(client.userKey), poll).toBe("online");
    await one.sql`
      update presence_syncs set process_id = 'dead' where user_key = ${client.userKey}`;
    const { signal } = new AbortController();
    while ((await endAbsentPresence.run(other, signal)) === "more");
    await expect.poll(() => stateOf(client.userKey), poll).toBe("offline");
    expect(processIdOf(one)).not.toBe(processIdOf(other));
    await one.sql`update presence set told_ms = 1 where user_key = ${client.userKey}`;
    while ((await forgetPresence.run(other, signal)) === "more");
    const left = await one.sql`select from presence where user_key = ${client.userKey}`;
    expect(left.count).toBe(0);
  });
});
