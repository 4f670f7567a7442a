import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testHomeservers, type TestHomeservers, testRoom, testUser } from "#src/testing.ts";
import { readMessages } from "./read-messages.ts";
import type { Place } from "./token.ts";
import { viewOfRoom } from "./view-of-room.ts";

let servers: TestHomeservers;
let room: Room;
let senders: { hs: Homeserver; user: Requester }[];

beforeAll(async () => {
  servers = await testHomeservers(3);
  const { hs, all } = servers;
  const alice = await testUser(hs, "alice");
  room = await testRoom(hs, alice, { preset: "public_chat" });
  senders = [];
  for (const [index, server] of all.entries()) {
    const user = index === 0 ? alice : await testUser(server, `user${index}`);
    await joinRoom(server, user, room.roomId);
    senders.push({ hs: server, user });
  }
});
afterAll(async () => await servers.close());

async function sendFromAll(count: number): Promise<string[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const sender = senders[index % senders.length];
      if (!sender) throw new Error("nobody sends");
      return await sendEvent(sender.hs, {
        sender: sender.user,
        room,
        draft: { type: "m.room.message", content: { msgtype: "m.text", body: `${index}` } },
      });
    }),
  );
}

/** All pages one after the other, from one end of the room or from a place in it. */
async function pages(direction: "b" | "f", limit: number, start?: Place): Promise<string[]> {
  const { hs } = servers;
  const [reader] = senders;
  if (!reader) throw new Error("nobody reads");
  const view = await viewOfRoom(hs, reader.user, room.roomId);
  const ids: string[] = [];
  let from: Place | undefined = start;
  for (;;) {
    const request = { direction, from, to: undefined, limit, filter: undefined };
    const page = await readMessages(hs, reader.user, view, request);
    ids.push(...page.events.map((it) => it.eventId));
    if (!page.end) return ids;
    from = page.end;
  }
}

describe("pages of a room's history", () => {
  test("hold every event exactly once, whatever their size and direction", async () => {
    const sent = await sendFromAll(60);
    const whole = await pages("f", 1000);
    expect(new Set(whole).size).toBe(whole.length);
    expect(sent.filter((it) => !whole.includes(it))).toEqual([]);
    for (const limit of Array.from({ length: whole.length + 2 }, (_, index) => index + 1)) {
      expect(await pages("f", limit)).toEqual(whole);
      expect(await pages("b", limit)).toEqual(whole.toReversed());
    }
  });

  test("hold every event exactly once while others send", async () => {
    const before = await pages("f", 1000);
    let isOver = false;
    const sending = (async () => {
      const sent: string[] = [];
      while (!isOver) sent.push(...(await sendFromAll(12)));
      return sent;
    })();
    const backwards: string[][] = [];
    for (const limit of [1, 3, 7, 20]) backwards.push(await pages("b", limit));
    isOver = true;
    const sent = await sending;
    const after = await pages("f", 5);
    expect(after).toEqual([...before, ...after.slice(before.length)]);
    expect(after.slice(before.length).toSorted()).toEqual(sent.toSorted());
    for (const seen of backwards) {
      // What was there when the reading began, and nothing twice.
      expect(seen.toReversed()).toEqual(after.slice(0, seen.length));
      expect(seen.length).toBeGreaterThanOrEqual(before.length);
    }
  });
});
