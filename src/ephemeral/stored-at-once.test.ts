import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { transactionsDuring } from "#src/testing-lane.ts";
import { testHomeservers, type TestHomeservers, testRoom, testUser } from "#src/testing.ts";
import type { Receipt } from "./receipt.ts";
import { RECEIPTS } from "./receipts-stream.ts";
import { sendReceipt } from "./send-receipt.ts";
import { setTyping } from "./set-typing.ts";
import { TYPING, type TypingDetail } from "./typing-stream.ts";

/** Homeservers of which each takes itself for the only one. */
let servers: TestHomeservers;
let one: Homeserver;
let other: Homeserver;
let alice: Requester;
let room: Room;
let said: EventId[];

beforeAll(async () => {
  servers = await testHomeservers(2);
  [one, other] = servers.all as [Homeserver, Homeserver];
  alice = await testUser(one, "alice");
  room = await testRoom(one, alice);
  said = [];
  for (let n = 0; n < 8; n++) {
    const draft = { type: "m.room.message", content: { body: `${n}` } };
    said.push(await sendEvent(one, { sender: alice, room, draft }));
  }
  await servers.database.sql`delete from processes`;
  await read(one, 0);
  await type(one, 0);
  await read(other, 1);
  await type(other, 0);
});
afterAll(async () => await servers.close());

async function read(hs: Homeserver, index: number): Promise<void> {
  await sendReceipt(hs, alice, "m.read", { room, eventId: said[index] ?? "$" });
}

async function type(hs: Homeserver, forMs: number): Promise<void> {
  await setTyping(hs, { roomKey: room.roomKey, userKey: alice.userKey }, forMs);
}

/** What a process was told by a stream since a position, in order. */
async function toldSince<T>(hs: Homeserver, stream: string, after: number): Promise<T[]> {
  await tailOf(hs).catchUp();
  const changes = tailOf(hs).between(after, tailOf(hs).position) ?? [];
  return changes.filter((it) => it.stream === stream).map((it) => it.detail as T);
}

describe("who reads and types by a process that is alone on its database", () => {
  test("is stored by one statement", async () => {
    // The first may still have to hear of what the other has written, the second is then the first of which it is known.
    for (const time of [1, 2]) {
      await read(one, 1 + time);
      await type(one, time * 10_000);
    }
    const after = tailOf(one).position;
    const made = await transactionsDuring(one, async () => {
      await read(one, 4);
      await type(one, 30_000);
      await Promise.all([type(one, 0), read(one, 5), type(one, 30_000)]);
      await read(one, 5);
      await type(one, 0);
    });
    expect(made).toBe(0);
    const receipts = await toldSince<Receipt>(one, RECEIPTS, after);
    expect(receipts.map((it) => it.eventId)).toEqual([said[4], said[5]]);
    const typing = await toldSince<TypingDetail>(one, TYPING, after);
    expect(typing.map((it) => [it.untilMs > 0, it.renewed])).toEqual([
      [true, true],
      [false, false],
      [true, false],
      [false, false],
    ]);
    const rows = await servers.hs.sql`
      select event_id, until_ms from receipts join events using (event_key), typing`;
    expect([...rows]).toEqual([{ event_id: said[5], until_ms: 0 }]);
  });

  test("moves no receipt back behind what others have written who were not seen", async () => {
    const after = tailOf(one).position;
    await read(other, 7);
    await read(one, 6);
    await type(other, 20_000);
    await type(one, 0);
    for (const hs of [one, other]) {
      const receipts = await toldSince<Receipt>(hs, RECEIPTS, after);
      expect(receipts.map((it) => it.eventId)).toEqual([said[7]]);
      const typing = await toldSince<TypingDetail>(hs, TYPING, after);
      expect(typing.at(-1)?.untilMs).toBe(0);
    }
  });
});
