import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { findAccountData } from "#src/account-data/account-data.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { leaveRoom } from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { requireJoined } from "#src/rooms/memberships.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import type { SyncQuestion, SyncSection } from "#src/streams/sync-section.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { parseThreadId, sendReceipt, setFullyRead } from "./send-receipt.ts";
import { setTyping } from "./set-typing.ts";
import { receiptsSection, typingSection } from "./sync-section.ts";

const house = await testHomeservers(2);
const { hs } = house;
const [one, two] = house.all as [Homeserver, Homeserver];
afterAll(async () => await house.close());

let alice: Requester;
let bob: Requester;
let room: Room;
let messages: EventId[];

const message = (body: string, relation?: object) => ({
  type: "m.room.message",
  content: { msgtype: "m.text", body, ...(relation && { "m.relates_to": relation }) },
});

beforeAll(async () => {
  alice = await testUser(hs, "alice");
  bob = await testUser(hs, "bob");
  const roomId: RoomId = await createRoom(hs, alice, { preset: "public_chat" });
  await joinRoom(hs, bob, roomId);
  room = await requireJoined(hs, alice, roomId);
  messages = [];
  for (const body of ["one", "two", "three"]) {
    messages.push(await sendEvent(hs, { sender: alice, room, draft: message(body) as never }));
  }
});

const at = (index: number) => messages[index] as EventId;

/** What a section tells a user of the room since a position, from memory and from the database alike. */
async function told(
  process: Homeserver,
  section: SyncSection,
  requester: Requester,
  after: number | undefined,
): Promise<unknown> {
  await tailOf(process).catchUp();
  const upTo = tailOf(process).position;
  const question: SyncQuestion = {
    requester,
    rooms: new Map([[room.roomKey, room.roomId]]),
    newRooms: new Set(),
    changes: undefined,
  };
  const range = { after, upTo };
  const stored = await section.read(process, question, range);
  const changes = tailOf(process)
    .between(after ?? 0, upTo)
    ?.filter((it) => section.streams.includes(it.stream))
    .filter((it) => section.concerns?.(it, question));
  expect(await section.read(process, { ...question, changes }, range)).toEqual(stored);
  return stored.rooms?.get(room.roomKey)?.ephemeral?.[0];
}

describe("receipts", () => {
  const ts = expect.any(Number);

  test("are told to all in the room, in each process, and never move backwards", async () => {
    const since = tailOf(one).position;
    await sendReceipt(one, bob, "m.read", { room, eventId: at(1) });
    await sendReceipt(two, bob, "m.read", { room, eventId: at(0) });
    const expected = {
      type: "m.receipt",
      content: { [at(1)]: { "m.read": { [bob.userId]: { ts } } } },
    };
    for (const process of house.all) {
      expect(await told(process, receiptsSection, alice, since)).toEqual(expected);
      expect(await told(process, receiptsSection, alice, undefined)).toEqual(expected);
    }
  });

  test("that are sent at once leave the furthest", async () => {
    const carol = await testUser(hs, "carol");
    await joinRoom(hs, carol, room.roomId);
    const since = tailOf(hs).position;
    await Promise.all(
      [2, 0, 1, 2, 0].map(
        async (index, process) =>
          await sendReceipt(process % 2 ? one : two, carol, "m.read", { room, eventId: at(index) }),
      ),
    );
    expect(await told(hs, receiptsSection, alice, since)).toEqual({
      type: "m.receipt",
      content: { [at(2)]: { "m.read": { [carol.userId]: { ts } } } },
    });
  });

  test("that are private are for their sender alone", async () => {
    const since = tailOf(hs).position;
    await sendReceipt(hs, bob, "m.read.private", { room, eventId: at(2) });
    expect(await told(hs, receiptsSection, alice, since)).toBeUndefined();
    expect(await told(hs, receiptsSection, bob, since)).toEqual({
      type: "m.receipt",
      content: { [at(2)]: { "m.read.private": { [bob.userId]: { ts } } } },
    });
  });

  test("know threads; at one event that for the whole room stands", async () => {
    const since = tailOf(hs).position;
    const thread = { rel_type: "m.thread", event_id: at(0) };
    const reply = await sendEvent(hs, {
      sender: alice,
      room,
      draft: message("in", thread) as never,
    });
    await sendReceipt(hs, bob, "m.read", { room, eventId: reply, thread: at(0) });
    expect(await told(hs, receiptsSection, alice, since)).toEqual({
      type: "m.receipt",
      content: { [reply]: { "m.read": { [bob.userId]: { ts, thread_id: at(0) } } } },
    });
    await sendReceipt(hs, bob, "m.read", { room, eventId: reply });
    expect(await told(hs, receiptsSection, alice, since)).toEqual({
      type: "m.receipt",
      content: { [reply]: { "m.read": { [bob.userId]: { ts } } } },
    });
  });

  test("follow a reaction to the thread of its message", async () => {
    const thread = { rel_type: "m.thread", event_id: at(1) };
    const reply = await sendEvent(hs, {
      sender: alice,
      room,
      draft: message("in", thread) as never,
    });
    const reaction = await sendEvent(hs, {
      sender: alice,
      room,
      draft: {
        type: "m.reaction",
        content: { "m.relates_to": { rel_type: "m.annotation", event_id: reply, key: "+" } },
      } as never,
    });
    await sendReceipt(hs, bob, "m.read", { room, eventId: reaction, thread: at(1) });
    await expect(
      sendReceipt(hs, bob, "m.read", { room, eventId: reaction, thread: "main" }),
    ).rejects.toMatchObject({ errcode: "M_INVALID_PARAM" });
    // What is redacted says no more that it is in a thread; who has not heard of that may still name the thread.
    const redaction = { type: "m.room.redaction", content: {}, redacts: reply };
    await sendEvent(hs, { sender: alice, room, draft: redaction });
    for (const thread of ["main", at(1)] as const) {
      for (const eventId of [reply, reaction]) {
        await sendReceipt(hs, bob, "m.read", { room, eventId, thread });
      }
    }
  });

  test("say of a thread that it is read up to what relates to its root in any way", async () => {
    const relating = async (rel_type: string, event_id: EventId) => {
      const content = { "m.relates_to": { rel_type, event_id } };
      return await sendEvent(hs, { sender: alice, room, draft: { type: "test.x", content } });
    };
    const root = at(2);
    await relating("m.thread", root);
    const reaction = await relating("m.annotation", await relating("m.reference", root));
    const since = tailOf(hs).position;
    await sendReceipt(hs, bob, "m.read", { room, eventId: reaction, thread: root });
    expect(await told(hs, receiptsSection, alice, since)).toMatchObject({
      content: { [reaction]: { "m.read": { [bob.userId]: { thread_id: root } } } },
    });
    await sendReceipt(hs, bob, "m.read", { room, eventId: reaction, thread: "main" });
    await expect(
      sendReceipt(hs, bob, "m.read", { room, eventId: reaction, thread: at(1) }),
    ).rejects.toMatchObject({ errcode: "M_INVALID_PARAM" });
  });

  test("of events that the room has not are refused", async () => {
    await expect(
      sendReceipt(hs, bob, "m.read", { room, eventId: "$elsewhere" }),
    ).rejects.toMatchObject({ errcode: "M_NOT_FOUND" });
    for (const bad of ["", 7, "x", null]) {
      expect(() => parseThreadId(bad)).toThrow(
        expect.objectContaining({ errcode: "M_INVALID_PARAM" }),
      );
    }
  });
});

test("the fully-read marker is account data, and moves forward only", async () => {
  const marker = async () => await findAccountData(hs, bob, room.roomKey, "m.fully_read");
  await setFullyRead(hs, bob, { room, eventId: at(1) });
  await setFullyRead(hs, bob, { room, eventId: at(0) });
  expect(await marker()).toBe(JSON.stringify({ event_id: at(1) }));
  await setFullyRead(hs, bob, { room, eventId: at(2) });
  expect(await marker()).toBe(JSON.stringify({ event_id: at(2) }));
});

test("fully-read markers that are set at once leave the furthest", async () => {
  for (const name of ["dora", "dick", "dan"]) {
    const user = await testUser(hs, name);
    await joinRoom(hs, user, room.roomId);
    const set = async (process: Homeserver, index: number) =>
      await setFullyRead(process, user, { room, eventId: at(index) });
    await Promise.all(
      house.all.flatMap((it) => [2, 1, 0].map(async (index) => await set(it, index))),
    );
    const marker = await findAccountData(hs, user, room.roomKey, "m.fully_read");
    expect(marker).toBe(JSON.stringify({ event_id: at(2) }));
  }
});

describe("typing", () => {
  const typing = (...user_ids: string[]) => ({ type: "m.typing", content: { user_ids } });
  const key = (user: Requester) => ({ roomKey: room.roomKey, userKey: user.userKey });

  test("is told with all who type, in each process, and is told when it ends", async () => {
    expect(await told(two, typingSection, alice, undefined)).toBeUndefined();
    const since = tailOf(one).position;
    await setTyping(one, key(bob), 30_000);
    await setTyping(two, key(alice), 30_000);
    expect(await told(one, typingSection, alice, since)).toEqual(typing(bob.userId, alice.userId));
    expect(await told(two, typingSection, alice, undefined)).toEqual(
      typing(bob.userId, alice.userId),
    );
    const later = tailOf(two).position;
    await setTyping(one, key(bob), 0);
    await setTyping(one, key(alice), 0);
    expect(await told(two, typingSection, alice, later)).toEqual(typing());
    expect(await told(two, typingSection, alice, undefined)).toBeUndefined();
  });

  test("that goes on is no news", async () => {
    await setTyping(hs, key(bob), 30_000);
    const since = tailOf(hs).position;
    await setTyping(hs, key(bob), 30_000);
    const changes = tailOf(hs).between(since, tailOf(hs).position) ?? [];
    expect(changes).toMatchObject([{ stream: "typing", detail: { renewed: true } }]);
    await setTyping(hs, key(bob), 0);
    await setTyping(hs, key(bob), 0);
    expect(tailOf(hs).between(since, tailOf(hs).position)).toHaveLength(2);
  });

  test("ends when the user leaves the room, in whichever process", async () => {
    const erin = await testUser(hs, "erin");
    await joinRoom(one, erin, room.roomId);
    await setTyping(one, key(erin), 60_000);
    expect(await told(two, typingSection, alice, undefined)).toEqual(typing(erin.userId));
    await leaveRoom(two, erin, { roomId: room.roomId });
    for (const process of house.all) {
      await expect
        .poll(async () => await told(process, typingSection, alice, undefined), { timeout: 10_000 })
        .toBeUndefined();
    }
  });

  test("ends by itself when its time has run out", async () => {
    const since = tailOf(hs).position;
    await setTyping(hs, key(bob), 50);
    const changes = () => tailOf(hs).between(since, tailOf(hs).position);
    await expect.poll(changes, { timeout: 10_000 }).toHaveLength(2);
    expect(await told(two, typingSection, alice, since)).toEqual(typing());
  });

  test("ends by the clock, however early a timer is", async () => {
    const since = tailOf(hs).position;
    const clock = vi.spyOn(hs, "now");
    await setTyping(hs, key(bob), 50);
    // As if the timer were early, or the clock set back, as long as it takes to fire.
    const stopped = hs.now();
    clock.mockImplementation(() => stopped);
    await sleep(150);
    clock.mockRestore();
    const changes = () => tailOf(hs).between(since, tailOf(hs).position);
    await expect.poll(changes, { timeout: 4_000 }).toHaveLength(2);
  });
});
