import { describe, expect, test } from "vitest";
import {
  answersFrom,
  NO_ANSWER,
  type SharedRoom,
  sharedRoom,
} from "#federation/inbound/testing.ts";
import { MAX_DEPTH } from "#src/events/size-limits.ts";
import { message } from "#src/events/testing.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { EventStatus } from "../stored-event.ts";
import { claimHoles, roomsWithHoles } from "./queries-holes.ts";
import { chain, fill, missing, pages, shown, holedFederation } from "./testing.ts";

const { hs, peer } = await holedFederation();

describe("a room that lacks events", () => {
  test("takes in what waits for others when these can be had", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    const [lost, waits, last] = chain(peer, shared, 3) as [EventId, EventId, EventId];
    await peer.send(hs, [wire(waits), wire(last)]);
    expect(await shown(hs, shared)).toEqual([joined]);
    await fill(hs);
    expect(await shown(hs, shared)).toEqual([joined]);

    peer.answer(answersFrom(remote));
    await fill(hs);
    expect(await shown(hs, shared)).toEqual([joined, lost, waits, last]);
    expect((await missing(hs, shared)).filter((it) => it.owed)).toEqual([]);
  });

  test("is found without delay, however many of its events wait for each other", async () => {
    const { roomKey } = (await sharedRoom(hs, peer)).room;
    await hs.sql`
      insert into events (event_key, room_key, event_id, type, sender_key, depth, origin_server_ts, status, json)
      select -number, ${roomKey}, '$waits' || number, 'm.room.message', 0, number, 0, ${EventStatus.outlier}, '{}'
      from generate_series(1, 20000) as number`;
    await hs.sql`
      insert into missing_events (room_key, missing_id, event_key)
      select ${roomKey}, '$waits' || number - 1, -number from generate_series(1, 20000) as number`;
    const begun = performance.now();
    expect(await roomsWithHoles(hs.sql, hs.now(), 5)).toContain(roomKey);
    const holes = await claimHoles(hs.sql, { roomKey, now: hs.now(), most: 50 });
    expect(holes.map((it) => it.missingId)).toEqual(["$waits0"]);
    // By looking through all of them for each it takes minutes.
    expect(performance.now() - begun).toBeLessThan(10_000);
    await hs.sql`delete from missing_events where room_key = ${roomKey}`;
    await hs.sql`delete from events where event_key < 0`;
  });

  test("gets what it was not told, however much, and puts it where it belongs", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    const ids = chain(peer, shared, 260);
    const topic = { type: "m.room.topic", state_key: "", content: { topic: "unheard" } };
    ids.push(remote.add(peer.user("creator"), topic, ids.slice(-1)));
    ids.push(...chain(peer, shared, 3, ids.at(-1)));
    const answers = answersFrom(remote);
    // It tells what the state is, and at first nothing of what led to it.
    peer.answer((it) => (/missing|backfill/.test(it.path) ? undefined : answers(it)));
    const last = ids.at(-1) as EventId;
    await peer.send(hs, [wire(last)]);
    expect(await shown(hs, shared)).toEqual([joined, last]);
    expect(await missing(hs, shared)).toContainEqual({ missing_id: ids.at(-2), owed: true });

    peer.answer((it) => (it.path.includes("missing") ? undefined : answers(it)));
    await fill(hs);
    expect(await shown(hs, shared)).toEqual([joined, ...ids]);
    // Only what was before this server came is left.
    expect((await missing(hs, shared)).map((it) => it.owed)).toEqual([false]);
  });

  test("gets it though we fail at what another lacks", async () => {
    const lacking = async (said: string) => {
      const shared = await sharedRoom(hs, peer);
      const lost = shared.remote.add(peer.user("creator"), message(said), [shared.joined]);
      const [waits = lost] = chain(peer, shared, 1, lost);
      await peer.send(hs, [shared.wire(waits)]);
      return { shared, all: [shared.joined, lost, waits] };
    };
    const one = await lacking("poison");
    const other = await lacking("fine");
    await hs.sql`
      create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'poison'; end $$`;
    await hs.sql`
      create trigger refusal before insert on events for each row
      when (new.json like '%poison%') execute function refuse()`;
    const answers = [one, other].map((it) => answersFrom(it.shared.remote));
    peer.answer((it) => answers[it.path.includes(one.shared.room.roomId) ? 0 : 1]?.(it));
    await fill(hs);
    await hs.sql`drop trigger refusal on events`;
    expect(await shown(hs, one.shared)).toEqual([one.shared.joined]);
    expect(await shown(hs, other.shared)).toEqual(other.all);
    await fill(hs);
    expect(await shown(hs, one.shared)).toEqual(one.all);
  });

  test("gets it where depths had no end left when this server came", async () => {
    const shared = await sharedRoom(hs, peer, {
      past(remote, last) {
        const event = remote.graph.events.get(last);
        if (!event) throw new Error("a room has no last event");
        remote.graph.events.set(last, { ...event, depth: MAX_DEPTH });
        return last;
      },
    });
    const { remote, joined, wire } = shared;
    const [lost, last] = chain(peer, shared, 2) as [EventId, EventId];
    const answers = answersFrom(remote);
    peer.answer((it) => (/missing|backfill/.test(it.path) ? undefined : answers(it)));
    await peer.send(hs, [wire(last)]);
    expect(await shown(hs, shared)).toEqual([joined, last]);
    peer.answer((it) => (it.path.includes("missing") ? undefined : answers(it)));
    await fill(hs);
    expect(await shown(hs, shared)).toEqual([joined, lost, last]);
  });

  test("takes in what has waited in pieces, and in order", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, room, joined, wire } = shared;
    const [lost] = chain(peer, shared, 1) as [EventId];
    const waits: EventId[] = [];
    for (let n = 0; n < 120; n++) {
      const before = [...waits.slice(-1), lost];
      waits.push(remote.add(peer.user("creator"), message(`waits ${n}`), before));
    }
    for (let at = 0; at < waits.length; at += 40) {
      await peer.send(hs, waits.slice(at, at + 40).map(wire));
    }
    expect(await shown(hs, shared)).toEqual([joined]);
    await peer.send(hs, [wire(lost)]);
    expect(await shown(hs, shared)).toEqual([joined, lost, ...waits]);
    const writes = await hs.sql<{ events: number }[]>`
      select count(*)::int as events from events
      where room_key = ${room.roomKey} and event_id = any(${waits}::text[]) group by xmin::text`;
    expect(Math.max(...writes.map((it) => it.events))).toBeLessThanOrEqual(50);
    expect((await missing(hs, shared)).filter((it) => it.owed)).toEqual([]);
  });

  test("takes in what has waited though we ended before that", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    const [lost, waits] = chain(peer, shared, 2) as [EventId, EventId];
    await peer.send(hs, [wire(waits)]);
    await hs.sql`
      create or replace function refuse_place() returns trigger language plpgsql as
        $$ begin raise exception 'ended'; end $$`;
    await hs.sql`
      create trigger refusal before update on events for each row
      when (new.anchor is distinct from old.anchor) execute function refuse_place()`;
    await peer.send(hs, [wire(lost)]);
    await hs.sql`drop trigger refusal on events`;
    expect(await shown(hs, shared)).toEqual([joined, lost]);
    peer.answer(answersFrom(remote));
    await fill(hs);
    expect(await shown(hs, shared)).toEqual([joined, lost, waits]);
    expect((await missing(hs, shared)).filter((it) => it.owed)).toEqual([]);
  });

  test("takes in what waits for something that turns out to be history", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    const [lost, last] = chain(peer, shared, 2) as [EventId, EventId];
    const waits = remote.add(peer.user("creator"), message("fork"), [lost]);
    await peer.send(hs, [wire(waits)]);
    const answers = answersFrom(remote);
    peer.answer((it) => (/missing|backfill/.test(it.path) ? undefined : answers(it)));
    await peer.send(hs, [wire(last)]);
    expect(await shown(hs, shared)).toEqual([joined, last]);
    peer.answer(answers);
    await pages(hs, shared, 50);
    expect(await shown(hs, shared)).toEqual(
      [...remote.events.keys()].toSpliced(-2, 2, last, waits),
    );
  });

  test("does not take its past for news, nor ask for it unless somebody wants it", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    peer.answer(answersFrom(remote));
    await fill(hs);
    expect(peer.asked).toEqual([]);
    // It forks from what was before this server came.
    const before = [...remote.events.keys()].at(-2) as EventId;
    const fork = remote.add(peer.user("creator"), message("fork"), [before]);
    await peer.send(hs, [wire(fork)]);
    await fill(hs);
    expect(await shown(hs, shared)).toEqual([joined, fork]);
  });

  test("does not wait for who has not answered for others", async () => {
    const lacking: SharedRoom[] = [];
    for (let n = 0; n < 15; n++) {
      const shared = await sharedRoom(hs, peer);
      const [, waits] = chain(peer, shared, 2) as [EventId, EventId];
      await peer.send(hs, [shared.wire(waits)]);
      lacking.push(shared);
    }
    peer.asked.length = 0;
    peer.answer(() => NO_ANSWER);
    await fill(hs);
    // Of those at least whose turn came first it learnt that nothing is to be had.
    expect(peer.asked.length).toBeLessThan(lacking.length);
    expect(peer.asked.length).toBeGreaterThan(0);
  });
});
