import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountDataStream } from "#src/account-data/account-data-stream.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import {
  banUser,
  inviteUser,
  kickUser,
  leaveRoom,
  unbanUser,
} from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { write } from "#src/streams/write.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { waitForNews } from "./news.ts";
import { readSync } from "./read-sync.ts";
import { sinceOf } from "./since.ts";
import type { SyncRequest } from "./sync-request.ts";
import { syncText } from "./sync-text.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;
let alice: Requester;
let bob: Requester;
let users = 0;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

type Event = {
  type: string;
  state_key?: string;
  content: Record<string, unknown>;
  event_id: string;
};
type Room = {
  timeline: { events: Event[]; limited: boolean; prev_batch: string };
  state: { events: Event[] };
  state_after?: { events: Event[] };
  summary: Record<string, unknown>;
};
type Answer = {
  next_batch: string;
  rooms?: {
    join?: Record<string, Room>;
    leave?: Record<string, Room>;
    invite?: Record<string, object>;
  };
};

async function sync(user: Requester, since?: string, its: Partial<SyncRequest> = {}, on = hs) {
  const answer = await readSync(on, {
    requester: user,
    filter: {},
    ...(since === undefined ? { since } : await sinceOf(on, since)),
    fullState: false,
    stateAfter: undefined,
    ...its,
  });
  return JSON.parse(syncText(answer, {})) as Answer;
}

async function say(user: Requester, roomId: RoomId, body: string, on = hs) {
  const room = await findRoom(on, roomId);
  if (!room) throw new Error("no such room");
  return await sendEvent(on, {
    sender: user,
    room,
    draft: { type: "m.room.message", content: { msgtype: "m.text", body } },
  });
}

const everythingOf = (room: Room | undefined) => [
  ...(room?.state.events ?? []),
  ...(room?.timeline.events ?? []),
];
const bodies = (room: Room | undefined) => room?.timeline.events.map((it) => it.content["body"]);

async function twoInARoom() {
  users++;
  alice = await testUser(hs, `alice${users}`);
  bob = await testUser(hs, `bob${users}`);
  const roomId = await createRoom(hs, alice, { preset: "private_chat", name: "Room" });
  await inviteUser(hs, alice, { roomId, target: bob.userId });
  return roomId;
}

describe("a sync", () => {
  test("tells a first time of everything that stands", async () => {
    const roomId = await twoInARoom();
    await say(alice, roomId, "hello");
    const { rooms } = await sync(alice);
    const room = rooms?.join?.[roomId];
    const all = [...(room?.state.events ?? []), ...(room?.timeline.events ?? [])];
    expect(all.map((it) => it.type)).toContain("m.room.create");
    expect(new Set(all.map((it) => it.event_id)).size).toBe(all.length);
    expect(bodies(room)?.at(-1)).toBe("hello");
    expect(room?.summary).toMatchObject({
      "m.joined_member_count": 1,
      "m.invited_member_count": 1,
    });
  });

  test("tells of an invitation, then of the room once it is joined, then only of news", async () => {
    const roomId = await twoInARoom();
    const first = await sync(bob);
    expect(first.rooms?.invite?.[roomId]).toMatchObject({
      invite_state: {
        events: expect.arrayContaining([
          expect.objectContaining({ type: "m.room.name", content: { name: "Room" } }),
          expect.objectContaining({ type: "m.room.member", state_key: bob.userId }),
        ]),
      },
    });
    await joinRoom(hs, bob, roomId);
    const second = await sync(bob, first.next_batch);
    const known = everythingOf(second.rooms?.join?.[roomId]);
    expect(known.map((it) => it.type)).toEqual(
      expect.arrayContaining(["m.room.create", "m.room.name"]),
    );

    await say(alice, roomId, "one");
    const third = await sync(bob, second.next_batch);
    const news = third.rooms?.join?.[roomId];
    expect(bodies(news)).toEqual(["one"]);
    expect(news).toMatchObject({ state: { events: [] } });
    expect((await sync(bob, third.next_batch)).rooms).toBeUndefined();
  });

  test("tells the same from memory and from the database, in every process", async () => {
    const roomId = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const { next_batch } = await sync(bob);
    await say(alice, roomId, "here");
    await say(bob, roomId, "there", other);
    const fresh = await testHomeserversOnSame();
    // What another process wrote is heard of a moment later.
    for (const it of [hs, other]) await tailOf(it).catchUp();
    const [memory, elsewhere, database] = await Promise.all([
      sync(bob, next_batch),
      sync(bob, next_batch, {}, other),
      sync(bob, next_batch, {}, fresh.hs),
    ]);
    const ids = (it: Answer) => it.rooms?.join?.[roomId]?.timeline.events.map((e) => e.event_id);
    expect(ids(memory)).toHaveLength(2);
    expect(ids(elsewhere)).toEqual(ids(memory));
    expect(ids(database)).toEqual(ids(memory));
    await fresh.close();
  });

  test("says that there was more, and what of the state changed meanwhile", async () => {
    const roomId = await twoInARoom();
    const { next_batch } = await sync(alice);
    const room = await findRoom(hs, roomId);
    if (!room) throw new Error("no such room");
    const topic = { type: "m.room.topic", state_key: "", content: { topic: "new" } };
    await sendEvent(hs, { sender: alice, room, draft: topic });
    for (let index = 0; index < 5; index++) await say(alice, roomId, `${index}`);
    const filter = { room: { timeline: { limit: 3 } } };
    const before = (await sync(alice, next_batch, { filter })).rooms?.join?.[roomId];
    expect(before?.timeline.limited).toBe(true);
    expect(bodies(before)).toEqual(["2", "3", "4"]);
    expect(before?.state.events.map((it) => it.type)).toEqual(["m.room.topic"]);
    const after = await sync(alice, next_batch, { filter, stateAfter: "state_after" });
    expect(after.rooms?.join?.[roomId]).toMatchObject({
      state_after: { events: [{ type: "m.room.topic" }] },
    });
  });

  test("tells those who leave, and those who are made to, up to that and no further", async () => {
    const roomId = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const { next_batch } = await sync(bob);
    await say(alice, roomId, "before");
    await kickUser(hs, alice, { roomId, target: bob.userId });
    await say(alice, roomId, "after");
    const { rooms } = await sync(bob, next_batch);
    expect(rooms?.join).toBeUndefined();
    expect(bodies(rooms?.leave?.[roomId])).toEqual(["before", undefined]);
    await leaveRoom(hs, alice, { roomId });
    expect((await sync(alice)).rooms).toBeUndefined();
  });

  test("tells those who are kicked and then banned of what was before the first of that", async () => {
    const roomId = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const { next_batch } = await sync(bob);
    for (const body of ["one", "two", "three"]) await say(alice, roomId, body);
    await kickUser(hs, alice, { roomId, target: bob.userId });
    await say(alice, roomId, "hidden");
    await banUser(hs, alice, { roomId, target: bob.userId });
    const filter = { room: { timeline: { limit: 4 } } };
    const told = (await sync(bob, next_batch, { filter })).rooms?.leave?.[roomId];
    expect(bodies(told)).toEqual(["three", undefined, undefined]);
    expect(told?.timeline.limited).toBe(true);
    const all = { room: { include_leave: true } };
    const first = (await sync(bob, undefined, { filter: all })).rooms?.leave?.[roomId];
    expect(everythingOf(first).map((it) => it.type)).toContain("m.room.create");
    const { next_batch: known } = await sync(bob);
    await unbanUser(hs, alice, { roomId, target: bob.userId });
    const unbanned = (await sync(bob, known)).rooms?.leave?.[roomId];
    expect(unbanned?.timeline).toMatchObject({
      events: [{ type: "m.room.member" }],
      limited: false,
    });
  });

  test.each([10, 1])(
    "tells those who are kicked and then banned of no state that was set in between, %i events at most",
    async (limit) => {
      const roomId = await twoInARoom();
      await joinRoom(hs, bob, roomId);
      const { next_batch } = await sync(bob);
      await kickUser(hs, alice, { roomId, target: bob.userId });
      const room = await findRoom(hs, roomId);
      if (!room) throw new Error("no such room");
      const topic = { type: "m.room.topic", state_key: "", content: { topic: "secret" } };
      await sendEvent(hs, { sender: alice, room, draft: topic });
      await say(alice, roomId, "hidden");
      await banUser(hs, alice, { roomId, target: bob.userId });
      const timeline = { limit };
      const filter = { room: { timeline, include_leave: true } };
      for (const since of [next_batch, undefined]) {
        for (const stateAfter of [undefined, "state_after"] as const) {
          const answer = await sync(bob, since, { filter, stateAfter });
          expect(JSON.stringify(answer)).not.toContain("secret");
          const told = answer.rooms?.leave?.[roomId];
          const isWhole = JSON.stringify(told).includes("m.room.create");
          const last = stateAfter
            ? told?.state_after?.events.filter((it) => it.state_key === bob.userId)
            : told?.timeline.events.slice(-1);
          expect({ isWhole, last }).toMatchObject({
            isWhole: since === undefined,
            last: [{ content: { membership: "ban" } }],
          });
        }
      }
    },
  );

  test("tells whoever declines an invitation nothing of what was said in the room", async () => {
    const roomId = await twoInARoom();
    const { next_batch } = await sync(bob);
    await say(alice, roomId, "secret");
    await leaveRoom(hs, bob, { roomId });
    const { rooms } = await sync(bob, next_batch);
    expect(rooms?.leave?.[roomId]?.timeline.events.map((it) => it.type)).toEqual(["m.room.member"]);
    expect(rooms?.leave?.[roomId]?.state.events).toEqual([]);
  });

  test("gives members only as they are needed to those who load them lazily", async () => {
    const roomId = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const filter = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } };
    await say(alice, roomId, "hi");
    const first = await sync(alice, undefined, { filter });
    const members = (it: Answer) =>
      it.rooms?.join?.[roomId]?.state.events.flatMap((e) =>
        e.type === "m.room.member" ? [e.state_key] : [],
      );
    expect(members(first)).toEqual([alice.userId]);
    await say(bob, roomId, "ho");
    const second = await sync(alice, first.next_batch, { filter });
    expect(members(second)).toEqual([bob.userId]);
    await say(bob, roomId, "hey");
    expect(members(await sync(alice, second.next_batch, { filter }))).toEqual([]);
  });

  test("is not woken by what another has for themselves in a room", async () => {
    const roomId = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const { next_batch } = await sync(bob);
    const room = await findRoom(hs, roomId);
    const woken: string[] = [];
    const signal = AbortSignal.timeout(10_000);
    const waiting = waitForNews(hs, bob, { after: tailOf(hs).position, waitMs: 10_000, signal });
    const heard = waiting.then(() => woken.push("woken"));
    await write(hs, accountDataStream, {
      userKey: alice.userKey,
      roomKey: room?.roomKey ?? 0,
      type: "m.tag",
      content: { tags: {} },
    });
    await sleep(50);
    woken.push("tagged");
    await say(alice, roomId, "for all");
    await heard;
    expect(woken).toEqual(["tagged", "woken"]);
    expect(bodies((await sync(bob, next_batch)).rooms?.join?.[roomId])).toEqual(["for all"]);
  });

  test("waits for what another process writes, and no longer", async () => {
    const roomId = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const { next_batch } = await sync(bob);
    const begun = performance.now();
    const waiting = waitForNews(hs, bob, {
      after: Number(next_batch.slice(1)),
      waitMs: 10_000,
      signal: new AbortController().signal,
    });
    await say(alice, roomId, "wake up", other);
    await waiting;
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(bodies((await sync(bob, next_batch)).rooms?.join?.[roomId])).toEqual(["wake up"]);
  });
});

/** One more process on the same database, which remembers nothing of what has happened. */
async function testHomeserversOnSame() {
  const { openHomeserver } = await import("#src/open-homeserver.ts");
  return await openHomeserver(hs.config, { databaseUrl: servers.database.url, log: hs.log });
}
