import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { accountDataStream } from "#src/account-data/account-data-stream.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { write } from "#src/streams/write.ts";
import { waitForNews } from "./news.ts";
import { bodies, everythingOf, openSyncStage, type Synced } from "./testing.ts";

const { servers, hs, other, sync, say, twoInARoom } = await openSyncStage();
afterAll(async () => await servers.close());

describe("a sync", () => {
  test("tells a first time of everything that stands", async () => {
    const { roomId, alice } = await twoInARoom();
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

  test("tells which event an invitation is, and of when", async () => {
    const { roomId, alice, bob } = await twoInARoom();
    const told = (await sync(bob)).rooms?.invite?.[roomId]?.invite_state.events ?? [];
    const own = told.find((it) => it.type === "m.room.member" && it.state_key === bob.userId);
    const { rooms } = await sync(alice);
    const invite = everythingOf(rooms?.join?.[roomId]).find(
      (it) => it.type === "m.room.member" && it.state_key === bob.userId,
    );
    expect(own).toEqual({
      type: "m.room.member",
      state_key: bob.userId,
      sender: alice.userId,
      content: invite?.content,
      event_id: invite?.event_id,
      origin_server_ts: invite?.origin_server_ts,
    });
    expect(own?.event_id).toMatch(/^\$/);
    // Of the others it tells what stripped state has, and no more.
    expect(told.filter((it) => it !== own && "event_id" in it)).toEqual([]);
  });

  test("tells of an invitation, then of the room once it is joined, then only of news", async () => {
    const { roomId, alice, bob } = await twoInARoom();
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
    const { roomId, alice, bob } = await twoInARoom();
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
    const ids = (it: Synced) => it.rooms?.join?.[roomId]?.timeline.events.map((e) => e.event_id);
    expect(ids(memory)).toHaveLength(2);
    expect(ids(elsewhere)).toEqual(ids(memory));
    expect(ids(database)).toEqual(ids(memory));
    await fresh.close();
  });

  test("says that there was more, and what of the state changed meanwhile", async () => {
    const { roomId, alice } = await twoInARoom();
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

  test("gives members only as they are needed to those who load them lazily", async () => {
    const { roomId, alice, bob } = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const filter = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } };
    await say(alice, roomId, "hi");
    const first = await sync(alice, undefined, { filter });
    const members = (it: Synced) =>
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
    const { roomId, alice, bob } = await twoInARoom();
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
    const { roomId, alice, bob } = await twoInARoom();
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
    expect(performance.now() - begun).toBeLessThan(8_000);
    expect(bodies((await sync(bob, next_batch)).rooms?.join?.[roomId])).toEqual(["wake up"]);
  });
});

/** One more process on the same database, which remembers nothing of what has happened. */
async function testHomeserversOnSame() {
  const { openHomeserver } = await import("#src/open-homeserver.ts");
  return await openHomeserver(hs.config, { databaseUrl: servers.database.url, log: hs.log });
}
