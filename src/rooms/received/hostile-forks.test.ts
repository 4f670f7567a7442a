import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { allStateAt, currentStateRoot } from "../current-state.ts";
import { eventsOf } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { receiveEvents } from "./receive-events.ts";
import { storeOutliers } from "./store-outliers.ts";
import { USERS } from "./testing-forks.ts";
import { deliverLive, receivedRoom, RemoteRoom } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(1);
  [hs] = servers.all as [Homeserver];
});
afterAll(async () => await servers.close());

const [creator, bob] = USERS as [UserId, UserId];

/** A room of a creator and of somebody of another server, who has power if that is said. */
async function roomOfTwo(salt: string, levels: Record<string, number> = {}, version = "10") {
  const remote = new RemoteRoom(version, salt);
  const last = remote.add(bob, memberDraft(bob, "join"), [remote.begin(creator, levels)]);
  const room = await receivedRoom(hs, remote);
  return { room, remote, last };
}

async function extremities({ roomKey }: Room): Promise<EventId[]> {
  const [row] = await hs.sql<{ extremities: number[] }[]>`
    select extremities from rooms where room_key = ${roomKey}`;
  const ends = await eventsOf(hs, row?.extremities ?? []);
  return [...ends.values()].map((it) => it.eventId);
}

async function stateOf({ roomKey }: Room): Promise<Set<EventId>> {
  const events = await allStateAt(hs, await currentStateRoot(hs, roomKey));
  return new Set(events.map((it) => it.eventId));
}

describe("a server that is in two rooms", () => {
  test("takes no end from the one by naming its events in the other", async () => {
    const own = await roomOfTwo("own");
    const others = await roomOfTwo("others");
    const own1 = own.remote.add(creator, message("to come"), [own.last]);
    const state = await stateOf(own.room);

    const naming = others.remote.add(bob, message("?"), [others.last, own1], [others.last]);
    await deliverLive(hs, others, [naming], naming);
    expect(await extremities(others.room)).toEqual([naming]);
    await deliverLive(hs, own, [own1]);

    expect(await extremities(own.room)).toEqual([own1]);
    expect(await stateOf(own.room)).toEqual(state);
    const rows = await hs.sql`select from missing_events where missing_id = ${own1}`;
    expect(rows).toHaveLength(1);
  });
});

describe("an event by whose ID another is known already", () => {
  const levelsOf = (users: Record<string, number>, more: Record<string, number> = {}) => ({
    type: "m.room.power_levels",
    state_key: "",
    content: { users: { [creator]: 101, ...users }, ...more },
  });

  /** A room in which somebody of another server had power and has less now, and an event from before that nobody was sent. */
  async function demotion(salt: string) {
    const { remote, room, last } = await roomOfTwo(salt, { [creator]: 101, [bob]: 100 }, "1");
    const demoted = remote.add(creator, levelsOf({ [bob]: 50 }), [last]);
    await deliverLive(hs, { room, remote }, [demoted]);
    const kept = remote.add(bob, levelsOf({ [bob]: 100 }, { invite: 1 }), [last]);
    const said = remote.add(bob, levelsOf({ [bob]: 50 }, { invite: 2 }), [demoted]);
    const it = remote.received(said);
    const wire = JSON.parse(it.json) as Record<string, unknown>;
    const disguised = {
      event: { ...it.event, event_id: kept },
      json: JSON.stringify({ ...wire, event_id: kept }),
    };
    return { remote, room, demoted, kept, disguised };
  }

  test("is judged as that other, which is what is stored", async () => {
    const { remote, room, demoted, kept, disguised } = await demotion("twins");
    expect(await storeOutliers(hs, room, [remote.received(kept)])).toEqual([]);
    await receiveEvents(hs, room, [disguised]);
    const state = await stateOf(room);
    expect([state.has(demoted), state.has(kept)]).toEqual([true, false]);
  });

  test("is not taken in if that is of another room", async () => {
    const one = await demotion("here");
    const other = await roomOfTwo("there", {}, "1");
    const its = other.remote.add(bob, message("?"), [other.last]);
    const { event, json } = other.remote.received(its);
    const named = { event: { ...event, event_id: one.kept }, json };
    expect(await storeOutliers(hs, other.room, [named])).toEqual([]);
    await receiveEvents(hs, one.room, [one.disguised]);
    expect(await extremities(one.room)).toEqual([one.demoted]);
  });
});

describe("many forks", () => {
  const name = (displayname: string) => ({
    type: "m.room.member",
    state_key: bob,
    content: { membership: "join", displayname },
  });

  test.each([
    ["of what is said", message],
    ["of how somebody is called", name],
  ])("%s take nothing from a room's state that was set beside them", async (what, draftOf) => {
    const { remote, room, last } = await roomOfTwo(`forked ${what}`);
    const topic = { type: "m.room.topic", state_key: "", content: { topic: "kept" } };
    const kept = remote.add(creator, topic, [last]);
    await deliverLive(hs, { room, remote }, [kept]);
    const forks = Array.from({ length: 25 }, (_, n) => remote.add(bob, draftOf(`${n}`), [last]));
    await deliverLive(hs, { room, remote }, forks.slice(0, 12));
    await deliverLive(hs, { room, remote }, forks.slice(12));

    const ends = await extremities(room);
    expect(ends).toHaveLength(20);
    expect(ends).toContain(kept);
    expect(await stateOf(room)).toEqual(new Set(remote.stateAfter([kept, ...forks]).values()));
  });
});
