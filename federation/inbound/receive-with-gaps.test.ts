import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type StateKey, stateKeyOf } from "#src/events/pdu.ts";
import { message, topic } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RawPdu } from "#src/homeserver/remotes.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { allStateAt } from "#src/rooms/current-state.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import type { Sources } from "#src/rooms/holes/sources.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { receivePdus } from "./receive-pdu.ts";
import { begun, BOB, CREATOR, keys, nobody, origin, serverOf, wireOf } from "./testing-pdus.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

describe("PDUs of which something that leads to them is missing", () => {
  test("bring with them all that leads to them", async () => {
    const { remote, room, last } = await begun(hs);
    let tip = last;
    for (let count = 0; count < 120; count++) tip = remote.add(BOB, message(`${count}`), [tip]);
    const remotes = serverOf(remote);
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, tip)], {
      origin,
      keys,
      remotes,
    });
    expect(receipts.size).toBe(120);
    expect(new Set([...receipts.values()].map((it) => it.outcome))).toEqual(new Set(["accepted"]));
    expect(remotes.asked).toEqual(Array(3).fill("getMissingPreviousEvents"));
    const holes = await hs.sql`select from missing_events where room_key = ${room.roomKey}`;
    expect(holes).toHaveLength(0);
  });

  test("have what leads to them asked for once, where several servers bring what follows it", async () => {
    const { remote, room, last } = await begun(hs);
    const lost = remote.add(BOB, message("lost"), [last]);
    const follow = [1, 2, 3].map((it) => remote.add(BOB, message(`follows ${it}`), [lost]));
    const remotes = serverOf(remote);
    const { promise: comesLater, resolve: come } = Promise.withResolvers<void>();
    const slow: Sources["remotes"] = {
      ...remotes,
      async getMissingPreviousEvents(...question) {
        await comesLater;
        return await remotes.getMissingPreviousEvents(...question);
      },
    };
    const receiving = follow.map(async (id) => {
      const from = { origin, keys, remotes: slow };
      return (await receivePdus(hs, room, [wireOf(remote, id)], from)).receipts.get(id);
    });
    await sleep(200);
    come();
    expect(await Promise.all(receiving)).toEqual(Array(3).fill({ outcome: "accepted" }));
    expect(remotes.asked).toEqual(["getMissingPreviousEvents"]);
  });

  test("wait for no others that take their time", async () => {
    const { remote, room, last } = await begun(hs);
    const [one, other] = [1, 2].map((it) => remote.add(BOB, message(`lost ${it}`), [last]));
    const [after, then] = [one, other].map((it) => remote.add(BOB, message("next"), [it ?? last]));
    const stuck: Sources["remotes"] = {
      ...serverOf(remote),
      getMissingPreviousEvents: async () => await new Promise<never>(() => {}),
    };
    void receivePdus(hs, room, [wireOf(remote, after ?? last)], { origin, keys, remotes: stuck });
    const from = { origin, keys, remotes: serverOf(remote) };
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, then ?? last)], from);
    expect(receipts.get(then ?? last)).toEqual({ outcome: "accepted" });
  }, 60_000);

  test("are taken in with the state that their server gives, where what leads to them is lost", async () => {
    const { remote, room, last } = await begun(hs);
    const named = remote.add(CREATOR, topic("lost"), [last]);
    const lost = remote.add(BOB, message("lost"), [named]);
    const id = remote.add(BOB, message("hello"), [lost]);
    const next = remote.add(BOB, message("again"), [id]);
    const from = { origin, keys, remotes: serverOf(remote, new Set([lost])) };
    // Of what is brought to us and leads nowhere nobody is asked at once.
    const alone = await receivePdus(hs, room, [wireOf(remote, id)], from);
    expect(alone.receipts.get(id)).toEqual({ outcome: "waits", missing: [lost] });
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, next)], from);
    for (const it of [id, next]) expect(receipts.get(it)).toEqual({ outcome: "accepted" });
    const event = (await findEvents(hs, [id])).get(id);
    const before = await allStateAt(hs, event?.stateBefore ?? 0);
    expect(before.map((it) => it.eventId)).toContain(named);
    const holes =
      await hs.sql`select missing_id from missing_events where room_key = ${room.roomKey}`;
    expect(holes.map((it) => it["missing_id"])).toEqual([lost]);

    // What was lost comes after all: it is shown late, and the hole is closed.
    const late = await receivePdus(hs, room, [wireOf(remote, lost)], {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(late.receipts.get(lost)).toEqual({ outcome: "accepted" });
    const left = await hs.sql`select from missing_events where room_key = ${room.roomKey}`;
    expect(left).toHaveLength(0);
    const [head] = await hs.sql<{ extremities: number[] }[]>`
      select extremities from rooms where room_key = ${room.roomKey}`;
    const newest = (await findEvents(hs, [next])).get(next);
    expect(head?.extremities).toEqual([newest?.eventKey]);
  });

  test("have the state asked for at once where their server answers with nothing but themselves", async () => {
    const { remote, room, last } = await begun(hs);
    const lost = remote.add(BOB, message("lost"), [last]);
    const id = remote.add(BOB, message("hello"), [lost]);
    const again = (it: EventId) => JSON.parse(remote.received(it).json) as RawPdu;
    const remotes: Sources["remotes"] = {
      ...serverOf(remote, new Set([lost])),
      async getMissingPreviousEvents(_server, { latest_events, limit }) {
        const events = Array.from({ length: limit }, () => latest_events.map(again)).flat();
        return { ok: true, body: { events } };
      },
    };
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, id)], {
      origin,
      keys,
      remotes,
    });
    expect(receipts.get(id)).toEqual({ outcome: "accepted" });
    const holes =
      await hs.sql`select missing_id from missing_events where room_key = ${room.roomKey}`;
    expect(holes.map((it) => it["missing_id"])).toEqual([lost]);
  });

  test("wait without a place if nobody can say what led to them", async () => {
    const { remote, room, last } = await begun(hs);
    const lost = remote.add(BOB, message("lost"), [last]);
    const id = remote.add(BOB, message("hello"), [lost]);
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, id)], {
      origin,
      keys,
      remotes: nobody,
    });
    expect(receipts.get(id)).toEqual({ outcome: "waits", missing: [lost] });
    const next = await receivePdus(hs, room, [wireOf(remote, lost)], {
      origin,
      keys,
      remotes: nobody,
    });
    expect(next.receipts.get(id)).toEqual({ outcome: "accepted" });
  });

  test.each([
    ["lacks their sender", (it: StateKey) => it !== stateKeyOf("m.room.member", BOB)],
    ["is empty", () => false],
  ])("are not rejected by a state that another server gives, which %s", async (_, isGiven) => {
    const { remote, room, last } = await begun(hs);
    const lost = remote.add(BOB, message("lost"), [last]);
    const id = remote.add(BOB, message("hello"), [lost]);
    const next = remote.add(BOB, message("again"), [id]);
    const honest = serverOf(remote, new Set([lost]));
    const lying: Sources["remotes"] = {
      ...honest,
      async getRoomStateIds(_server, { eventId }) {
        const all = remote.events.get(eventId)?.before ?? new Map<StateKey, EventId>();
        const pdu_ids = [...all].flatMap(([key, it]) => (isGiven(key) ? [it] : []));
        return { ok: true, body: { pdu_ids, auth_chain_ids: [] } };
      },
    };
    const options = { origin, keys, remotes: lying };
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, next)], options);
    expect(receipts.get(id)).toEqual({ outcome: "waits", missing: [lost] });
    expect(receipts.get(next)).toEqual({ outcome: "waits", missing: [id] });

    const late = await receivePdus(hs, room, [wireOf(remote, lost)], {
      ...options,
      remotes: nobody,
    });
    for (const it of [id, next]) expect(late.receipts.get(it)).toEqual({ outcome: "accepted" });
  });
});
