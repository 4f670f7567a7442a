import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { timesRepeated, transactionsDuring } from "#src/testing-lane.ts";
import { testHomeservers, type TestHomeservers, testRoom, testUser } from "#src/testing.ts";

/** Homeservers of which each takes itself for the only one: so that what it takes for true often is not. */
let servers: TestHomeservers;
let one: Homeserver;
let other: Homeserver;
let alice: Requester;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [one, other] = servers.all as [Homeserver, Homeserver];
  alice = await testUser(one, "alice");
});
afterAll(async () => await servers.close());

async function roomOfAlice(): Promise<Room> {
  const room = await testRoom(one, alice);
  await servers.database.sql`delete from processes`;
  // The first write of each sees that nobody else is there.
  for (const hs of servers.all) await say(hs, room, "first");
  return room;
}

async function say(hs: Homeserver, room: Room, body: string, txnId?: string): Promise<EventId> {
  const draft = { type: "m.room.message", content: { body } };
  const transaction = txnId === undefined ? {} : { transaction: { deviceKey: 1, txnId } };
  return await sendEvent(hs, { sender: alice, room, draft, ...transaction });
}

/** Which events were built on which, oldest first. */
async function chainOf(room: Room): Promise<EventId[]> {
  const rows = await servers.hs.sql<{ event_id: EventId; json: string }[]>`
    select event_id, json from events where room_key = ${room.roomKey} order by event_key`;
  const builtOn = (json: string) => (JSON.parse(json) as { prev_events: EventId[] }).prev_events;
  for (const [index, { json }] of rows.entries()) {
    expect(builtOn(json)).toEqual(index === 0 ? [] : [rows[index - 1]?.event_id]);
  }
  return rows.map((it) => it.event_id);
}

describe("what a process sends that is alone on its database", () => {
  test("is stored by one statement", async () => {
    const room = await roomOfAlice();
    await say(one, room, "takes its place");
    const sent: EventId[] = [];
    const made = await transactionsDuring(one, async () => {
      for (let n = 0; n < 5; n++) sent.push(await say(one, room, `${n}`, `txn ${n}`));
      sent.push(
        ...(await Promise.all(["a", "b", "c"].map(async (it) => await say(one, room, it)))),
      );
    });
    expect(made).toBe(0);
    expect((await chainOf(room)).slice(-8).toSorted()).toEqual(sent.toSorted());
  });

  test("makes one chain with what others send who were not seen", async () => {
    const room = await roomOfAlice();
    const before = await timesRepeated();
    const sent: EventId[] = [];
    for (let round = 0; round < 20; round++) {
      const hs = round % 3 === 0 ? other : one;
      sent.push(await say(hs, room, `${round}`));
      await Promise.all(
        servers.all.map(async (it) => sent.push(await say(it, room, `${round} at once`))),
      );
    }
    const chain = await chainOf(room);
    expect(chain.slice(-sent.length).toSorted()).toEqual(sent.toSorted());
    expect(await timesRepeated()).toBeGreaterThan(before);
  });

  test("is not sent again under a transaction ID that was used, here or elsewhere", async () => {
    const room = await roomOfAlice();
    const first = await say(one, room, "hello", "used");
    const length = (await chainOf(room)).length;
    expect(await say(one, room, "hello", "used")).toBe(first);
    expect(await say(other, room, "hello", "used")).toBe(first);
    // In one group with what is new.
    const [again, fresh] = await Promise.all([
      say(one, room, "hello", "used"),
      say(one, room, "new", "unused"),
    ]);
    expect(again).toBe(first);
    const chain = await chainOf(room);
    expect(chain.slice(length)).toEqual([fresh]);
  });
});
