import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stateKeyOf } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { allStateAt, currentStateRoot } from "../current-state.ts";
import { eventsOf } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { ensureRoom } from "./ensure-room.ts";
import { receiveEvents } from "./receive-events.ts";
import { RemoteRoom, replay } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

const USERS: readonly UserId[] = [
  "@creator:one.test",
  "@bob:two.test",
  "@carol:three.test",
  "@local:test",
];

type Step = {
  readonly sender: number;
  readonly target: number;
  readonly kind: string;
  readonly level: number;
  /** How far back from the newest the events are that it follows. */
  readonly back: readonly number[];
};

const steps = fc.array(
  fc.record({
    sender: fc.nat(3),
    target: fc.nat(3),
    kind: fc.constantFrom(
      "message",
      "topic",
      "name",
      "levels",
      "join",
      "leave",
      "kick",
      "ban",
      "rules",
    ),
    level: fc.constantFrom(0, 50, 100),
    back: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }),
  }),
  { minLength: 4, maxLength: 22 },
);

function draftOf({ kind, sender, target, level }: Step, index: number) {
  const own = USERS[sender] ?? "@a:b";
  const theirs = USERS[target] ?? "@a:b";
  const member = (user: UserId, membership: string) => ({
    type: "m.room.member",
    state_key: user,
    content: { membership },
  });
  switch (kind) {
    case "topic":
      return { type: "m.room.topic", state_key: "", content: { topic: `${index}` } };
    case "name":
      return { type: "m.room.name", state_key: "", content: { name: `${index}` } };
    case "rules":
      return {
        type: "m.room.join_rules",
        state_key: "",
        content: { join_rule: level === 0 ? "invite" : "public" },
      };
    case "levels":
      return {
        type: "m.room.power_levels",
        state_key: "",
        content: { users: { [theirs]: level, [own]: 100 }, events: { "m.room.topic": level } },
      };
    case "join":
    case "leave":
      return member(own, kind);
    case "kick":
      return member(theirs, "leave");
    case "ban":
      return member(theirs, "ban");
    default:
      return { type: "m.room.message", content: { body: `${index}` } };
  }
}

let rooms = 0;

/** A room in which everybody is, and which then goes its random ways. */
function forkedRoom(version: string, its: readonly Step[]) {
  const room = new RemoteRoom(version, `room${rooms++}`);
  let last = room.begin(USERS[0] as UserId, { "@bob:two.test": 100, "@carol:three.test": 50 });
  for (const user of USERS.slice(1)) {
    const draft = { type: "m.room.member", state_key: user, content: { membership: "join" } };
    last = room.add(user, draft, [last]);
  }
  const basis = [...room.events.keys()];
  const tips = [last];
  for (const [index, step] of its.entries()) {
    const prev = [...new Set(step.back.map((n) => tips.at(-1 - n) ?? last))];
    tips.push(room.add(USERS[step.sender] as UserId, draftOf(step, index), prev));
  }
  return { room, basis, later: tips.slice(1) };
}

async function storedRoom(remote: RemoteRoom): Promise<Room> {
  if (remote.roomId === undefined) throw new Error("the room has no create event");
  return await ensureRoom(hs, remote.roomId, remote.rules);
}

/** Delivers events in an order, those that could not be judged again until they can. */
async function deliver(
  remote: RemoteRoom,
  room: Room,
  batches: readonly (readonly EventId[])[],
): Promise<void> {
  let left = batches;
  for (let round = 0; left.length > 0; round++) {
    if (round > 50) throw new Error("events cannot be delivered");
    const again: EventId[][] = [];
    for (const [index, batch] of left.entries()) {
      const receipts = await receiveEvents(
        index % 2 === 0 ? hs : other,
        room,
        batch.map((id) => remote.received(id)),
      );
      const refused = batch.filter((id) => receipts.get(id)?.outcome === "unverifiable");
      if (refused.length > 0) again.push(refused);
    }
    left = again;
  }
}

async function stored(room: Room) {
  const rows = await hs.sql<{ event_key: number }[]>`
    select event_key from events where room_key = ${room.roomKey} order by anchor`;
  const events = await eventsOf(
    hs,
    rows.map((it) => it.event_key),
  );
  return rows.flatMap((it) => events.get(it.event_key) ?? []);
}

async function stateIds(root: number) {
  const events = await allStateAt(hs, root);
  return new Map(events.map((it) => [stateKeyOf(it.type, it.stateKey ?? ""), it.eventId]));
}

function statusIn(remote: RemoteRoom, softFailed: ReadonlySet<EventId>, id: EventId): number {
  if (remote.graph.rejected.has(id)) return EventStatus.rejected;
  return softFailed.has(id) ? EventStatus.softFailed : EventStatus.accepted;
}

/** Holds what is stored of a room against what it should be. */
async function expectTruth(remote: RemoteRoom, room: Room): Promise<void> {
  // What was stored through the other process may not have been heard of yet.
  await tailOf(hs).catchUp();
  const events = await stored(room);
  const order = events.map((it) => it.eventId);
  expect(new Set(order)).toEqual(new Set(remote.events.keys()));
  const expected = replay(remote, order);

  for (const event of events) {
    const model = remote.events.get(event.eventId);
    const status = statusIn(remote, expected.softFailed, event.eventId);
    expect({ id: event.eventId, status: event.status }).toEqual({ id: event.eventId, status });
    expect(await stateIds(event.stateBefore ?? 0)).toEqual(model?.before);
    expect(await stateIds(event.stateAfter ?? 0)).toEqual(model?.after);
  }
  const root = await currentStateRoot(hs, room.roomKey);
  expect(await stateIds(root)).toEqual(expected.current);
  const [row] = await hs.sql<{ extremities: number[] }[]>`
    select extremities from rooms where room_key = ${room.roomKey}`;
  const ends = await eventsOf(hs, row?.extremities ?? []);
  expect(new Set([...ends.values()].map((it) => it.eventId))).toEqual(
    new Set(expected.extremities),
  );

  await expectMembers(room, events, expected.current);
  const [missing] = await hs.sql`select from missing_events where room_key = ${room.roomKey}`;
  expect(missing).toBeUndefined();
}

/** Holds the memberships against what the current state says; who is not in it any more has left. */
async function expectMembers(
  room: Room,
  events: readonly StoredEvent[],
  current: ReadonlyMap<string, EventId>,
): Promise<void> {
  const rows = await hs.sql<{ user_id: string; membership: string }[]>`
    select user_id, membership from memberships join users using (user_key)
    where room_key = ${room.roomKey}`;
  const byId = new Map(events.map((it) => [it.eventId, it]));
  const memberOf = (user: string) =>
    byId.get(current.get(stateKeyOf("m.room.member", user)) ?? "$");
  expect(rows.map((it) => [it.user_id, it.membership])).toEqual(
    rows.map((it) => [it.user_id, memberOf(it.user_id)?.content["membership"] ?? "leave"]),
  );
  const known = new Set(rows.map((it) => it.user_id));
  const named = USERS.filter((it) => memberOf(it) !== undefined);
  expect(named.filter((it) => !known.has(it))).toEqual([]);
}

describe("events of other servers", () => {
  test.each(["1", "2", "6", "10", "11", "12"])(
    "make of a room of version %s what they should, in whatever order they come",
    async (version) => {
      await fc.assert(
        fc.asyncProperty(
          steps,
          fc.array(fc.nat(1_000), { minLength: 22, maxLength: 22 }),
          fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 22, maxLength: 22 }),
          async (its, shuffle, sizes) => {
            const { room: remote, basis, later } = forkedRoom(version, its);
            const room = await storedRoom(remote);
            const order = later
              .map((id, index) => ({ id, rank: shuffle[index] ?? 0 }))
              .toSorted((a, b) => a.rank - b.rank)
              .map((it) => it.id);
            const batches: EventId[][] = [[...basis]];
            for (let at = 0, index = 0; at < order.length; index++) {
              const size = sizes[index] ?? 1;
              batches.push(order.slice(at, at + size));
              at += size;
            }
            await deliver(remote, room, batches);
            await expectTruth(remote, room);
            expect(later.length).toBe(its.length);
          },
        ),
        { numRuns: 8, endOnFailure: true },
      );
    },
    60_000,
  );
});
