import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { eventsOf } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { receiveEvents } from "./receive-events.ts";
import { joinedRoom, receive, RemoteRoom } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";
const LOCAL: UserId = "@local:test";

/** A room with a past, into which somebody of ours has come. */
async function roomWithPast(name: string, length: number) {
  const remote = new RemoteRoom("12", name);
  let last = remote.begin(CREATOR);
  for (let count = 0; count < length; count++) {
    const user: UserId = `@user${count % 7}:two.test`;
    const draft = count % 5 === 0 ? message(`${count}`) : memberDraft(user, "join");
    last = remote.add(count % 5 === 0 ? CREATOR : user, draft, [last]);
  }
  const joined = remote.add(LOCAL, memberDraft(LOCAL, "join"), [last]);
  const after = remote.add(CREATOR, message("hi"), [joined]);
  const room = await joinedRoom(hs, remote, joined);
  await receive(hs, { room, remote }, [after]);
  return { remote, room };
}

async function shown(on: Homeserver, room: Room) {
  const rows = await on.sql<{ event_key: number }[]>`
    select event_key from events where room_key = ${room.roomKey} and status = 0
    order by anchor, anchor_offset`;
  await tailOf(on).catchUp();
  const events = await eventsOf(
    on,
    rows.map((it) => it.event_key),
  );
  return rows.flatMap((it) => events.get(it.event_key) ?? []);
}

describe("the past of a room", () => {
  test.each([1, 3, 100])("is put before what is there, %i events at a time", async (size) => {
    const { remote, room } = await roomWithPast(`past${size}`, 24);
    const all = [...remote.events.keys()];
    // Both processes know the events, without a place.
    await eventsOf(
      other,
      (await shown(hs, room)).map((it) => it.eventKey),
    );
    const older = all.slice(0, -2);
    for (let end = older.length; end > 0; end -= size) {
      const page = older.slice(Math.max(0, end - size), end);
      const [first] = page;
      if (first === undefined) break;
      const given = new Map<EventId, readonly EventId[]>([
        [first, [...(remote.events.get(first)?.before.values() ?? [])]],
      ]);
      const receipts = await receiveEvents(
        hs,
        room,
        page.map((id) => remote.received(id)),
        { as: "history", states: given },
      );
      expect(new Set([...receipts.values()].map((it) => it.outcome))).toEqual(
        new Set(["accepted"]),
      );
    }
    for (const on of [hs, other]) {
      const events = await shown(on, room);
      expect(events.map((it) => it.eventId)).toEqual(all);
      // Nobody may take what is there for something without a place.
      expect(events.every((it) => it.anchor !== undefined)).toBe(true);
    }
    const [head] = await hs.sql<{ extremities: number[] }[]>`
      select extremities from rooms where room_key = ${room.roomKey}`;
    const ends = await eventsOf(hs, head?.extremities ?? []);
    expect([...ends.values()].map((it) => it.eventId)).toEqual(all.slice(-1));
    const holes = await hs.sql`select from missing_events where room_key = ${room.roomKey}`;
    expect(holes).toHaveLength(0);
  });
});
