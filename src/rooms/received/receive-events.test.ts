import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stateKeyOf } from "#src/events/pdu.ts";
import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { allStateAt, currentStateRoot } from "../current-state.ts";
import { eventsOf, findEvent } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { forgetHeads } from "../room-head.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { headOf } from "./head-of.ts";
import { forkedRoom, inBatches, steps, USERS } from "./testing-forks.ts";
import { isPart, replay, wronglyRedacted, wronglyTold } from "./testing-model.ts";
import { deliverBatch, knownRoom, RemoteRoom } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

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
      const refused = await deliverBatch(index % 2 === 0 ? hs : other, room, remote, batch);
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
    const own = isPart(event) ? EventStatus.accepted : event.status;
    expect({ id: event.eventId, status: own }).toEqual({ id: event.eventId, status });
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

  expect(wronglyRedacted(remote, events)).toEqual([]);
  expect(wronglyTold(remote, events)).toEqual([]);
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
            const room = await knownRoom(hs, remote);
            const batches = inBatches(later, { shuffle, sizes });
            await deliver(remote, room, [basis, ...batches]);
            await expectTruth(remote, room);
            expect(later.length).toBe(its.length);
          },
        ),
        { numRuns: 20, endOnFailure: true },
      );
    },
    60_000,
  );

  test("that got their places in another process are what a room is known to end with", async () => {
    const remote = new RemoteRoom("12", "elsewhere");
    const [creator] = USERS as [UserId];
    const basis = [remote.begin(creator)];
    const first = remote.add(creator, { type: "name", state_key: "", content: {} }, basis);
    const second = remote.add(creator, { type: "topic", state_key: "", content: {} }, [first]);
    const room = await knownRoom(hs, remote);
    const begun = [...remote.events.keys()].filter((it) => it !== first && it !== second);
    await deliverBatch(hs, room, remote, begun);
    await deliverBatch(hs, room, remote, [second]);
    expect((await findEvent(hs, second))?.anchor).toBeUndefined();
    await deliverBatch(other, room, remote, [first]);
    // As it is before this process has heard of it.
    forgetHeads(hs);
    const { extremities } = await headOf(hs, room);
    expect(extremities.map((it) => it.eventId)).toEqual([second]);
    expect(await stateIds(extremities[0]?.stateAfter ?? 0)).toEqual(remote.stateAfter([second]));
  });

  test("that come at once and add to a fork come to one state of the room together", async () => {
    const remote = new RemoteRoom("12", "at-once");
    const [creator, bob] = USERS as [UserId, UserId];
    let last = remote.begin(creator, { [bob]: 100 });
    last = remote.add(bob, memberDraft(bob, "join"), [last]);
    const basis = [...remote.events.keys()];
    const entry = (key: number, by: UserId) => ({
      type: "entry",
      state_key: `${key}`,
      content: { by },
    });
    const own = remote.add(creator, entry(0, creator), [last]);
    const fork: EventId[] = [];
    for (let key = 0; key < 12; key++) {
      last = remote.add(bob, entry(key, bob), [last]);
      fork.push(last);
    }
    const room = await knownRoom(hs, remote);
    await deliver(remote, room, [basis, [own], fork]);

    await expectTruth(remote, room);
    const root = await currentStateRoot(hs, room.roomKey);
    const added = (await stored(room)).filter((it) => fork.includes(it.eventId));
    expect(added.map((it) => it.roomState)).toEqual(fork.map(() => root));
  });
});
