import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers, testRoom, testUser } from "#src/testing.ts";
import type { Room } from "./find-room.ts";
import { headOf } from "./received/head-of.ts";
import { forgetHead, forgetHeads, knownHead, readHeads } from "./room-head.ts";
import { sendEvent } from "./send-event.ts";

let servers: TestHomeservers;
let one: Homeserver;
let two: Homeserver;
let alice: Requester;
let room: Room;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [one, two] = servers.all as [Homeserver, Homeserver];
  alice = await testUser(one, "alice");
  room = await testRoom(one, alice);
});
afterAll(async () => await servers.close());

async function send(by: Homeserver = one): Promise<EventId> {
  const draft = { type: "m.room.message", content: { msgtype: "m.text", body: "hello" } };
  return await sendEvent(by, { sender: alice, room, draft });
}

const endsOf = async (hs: Homeserver) =>
  (await headOf(hs, room)).extremities.map((it) => it.eventId);

describe("a room's head", () => {
  test("is another for each process once it has heard what others have sent", async () => {
    for (let count = 0; count < 5; count++) {
      await endsOf(two);
      const sent = await send();
      await tailOf(two).catchUp();
      expect(await endsOf(two)).toEqual([sent]);
    }
  });

  test("stays in the memory of the process that has sent", async () => {
    await send();
    expect(knownHead(one, room.roomKey)).toBeDefined();
  });

  test("is not believed that others have moved before this process heard of its own commit", async () => {
    const { lane } = one;
    const transaction = lane.transaction.bind(lane);
    let last: EventId | undefined;
    // On its way, the answer of the database is overtaken by what others say.
    lane.transaction = async (work) => {
      const done = await transaction(work);
      last = await send(two);
      await tailOf(one).catchUp();
      return done;
    };
    try {
      // So that it takes a transaction.
      await send(two);
      await send();
    } finally {
      lane.transaction = transaction;
    }
    expect(last).toBeDefined();
    expect(await endsOf(one)).toEqual([last]);
  });

  test.each([
    ["this room is", () => forgetHead(two, room.roomKey)],
    ["all are", () => forgetHeads(two)],
  ])("is not remembered from before what was read while %s forgotten", async (_which, forget) => {
    await tailOf(two).catchUp();
    forgetHeads(two);
    const reading = readHeads(two, two.sql, [room]);
    forget();
    await reading;
    expect(knownHead(two, room.roomKey)).toBeUndefined();
  });
});
