import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers, testRoom, testUser } from "#src/testing.ts";
import {
  eventInMemory,
  findEvent,
  findEvents,
  forgetEvents,
  glimpseEvents,
  rememberEvent,
} from "./find-event.ts";
import type { Room } from "./find-room.ts";
import { eventsByIds } from "./queries-events.ts";
import { redactEvent } from "./redact-event.ts";
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

async function send(): Promise<EventId> {
  const draft = { type: "m.room.message", content: { msgtype: "m.text", body: "hello" } };
  return await sendEvent(one, { sender: alice, room, draft });
}

async function redact(target: EventId): Promise<EventId> {
  const transaction = { deviceKey: 1, txnId: `redact ${target}` };
  return await redactEvent(one, { requester: alice, room, target, content: {}, transaction });
}

const keyOf = async (hs: Homeserver, id: EventId) => (await findEvent(hs, id))?.eventKey;

describe("an event in memory", () => {
  test("is known as redacted, also where the redaction was read before it was heard of", async () => {
    for (let count = 0; count < 10; count++) {
      const target = await send();
      await tailOf(two).catchUp();
      expect((await findEvent(two, target))?.redactedBy).toBeUndefined();
      const redaction = await redact(target);
      await findEvents(two, [redaction]);
      await tailOf(two).catchUp();
      expect((await findEvent(two, target))?.redactedBy).toBe(await keyOf(two, redaction));
    }
  });

  test.each(["the process that redacts it", "another"])(
    "is known as redacted though %s was reading it meanwhile",
    async (which) => {
      const hs = which === "another" ? two : one;
      const target = await send();
      await tailOf(two).catchUp();
      forgetEvents(hs);
      const rows = await eventsByIds(hs.sql, [target]);
      // The redaction needs its target, but not the room's older events, in the memory of the one process.
      const redaction = await redact(target);
      await tailOf(two).catchUp();
      forgetEvents(hs);
      for (const row of rows) rememberEvent(hs, row);
      expect((await findEvent(hs, target))?.redactedBy).toBe(await keyOf(hs, redaction));
    },
  );

  test("is there once it was glimpsed a second time", async () => {
    const key = (await keyOf(one, await send())) ?? 0;
    forgetEvents(one);
    const first = (await glimpseEvents(one, [key])).get(key);
    expect(first?.eventKey).toBe(key);
    expect(eventInMemory(one, key)).toBeUndefined();
    const again = (await glimpseEvents(one, [key])).get(key);
    expect(again?.json).toBe(first?.json);
    expect(eventInMemory(one, key)).toBe(again);
    expect((await glimpseEvents(one, [key])).get(key)).toBe(again);
  });
});
