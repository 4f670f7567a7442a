import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  answersFrom,
  memberDraft,
  message,
  type Peer,
  sharedRoom,
  type SharedRoom,
  testPeer,
} from "#federation/inbound/testing.ts";
import { testFederation } from "#federation/testing.ts";
import { MAX_DEPTH } from "#src/events/size-limits.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { testUser } from "#src/testing.ts";
import { fetchAround, findByTimestamp } from "#src/timeline/find-by-timestamp.ts";
import { readMessages } from "#src/timeline/read-messages.ts";
import type { Place } from "#src/timeline/token.ts";
import { viewOfRoom } from "#src/timeline/view-of-room.ts";
import { visibleEvents } from "#src/timeline/visible-events.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { fetchPast } from "./fetch-past.ts";
import { fillOwedHoles } from "./job-fill-holes.ts";
import { claimHoles, roomsWithHoles } from "./queries-holes.ts";

const federation = await testFederation();
let hs: Homeserver;
let peer: Peer;

beforeAll(async () => {
  ({ hs } = await federation.open());
  peer = await testPeer(federation);
});
beforeEach(() => {
  peer.answer(() => undefined);
  peer.asked.length = 0;
});
afterAll(async () => await federation.close());

/** Adds messages to a room, one after the other, as its other server has them. */
function chain(
  { remote, joined }: Pick<SharedRoom, "remote" | "joined">,
  count: number,
  after = joined,
): EventId[] {
  const ids: EventId[] = [];
  for (let index = 0; index < count; index++) {
    ids.push(remote.add(peer.user("creator"), message(`${index}`), [ids.at(-1) ?? after]));
  }
  return ids;
}

/** All that is shown of a room, in its order. */
async function shown({ room }: SharedRoom): Promise<string[]> {
  const rows = await hs.sql<{ event_id: string }[]>`
    select event_id from events where room_key = ${room.roomKey} and status = ${EventStatus.accepted}
    order by anchor, anchor_offset`;
  return rows.map((it) => it.event_id);
}

async function missing({ room }: SharedRoom): Promise<{ missing_id: string; owed: boolean }[]> {
  return await hs.sql`select missing_id, owed from missing_events where room_key = ${room.roomKey}`;
}

/** Runs the job until nothing is due; what failed before is due again. */
async function fill(): Promise<void> {
  await hs.sql`update missing_events set due_ms = 0`;
  while ((await fillOwedHoles.run(hs, new AbortController().signal)) === "more");
}

/** All pages of a room as a user of ours reads them backwards, the newest first. */
async function pages({ room }: SharedRoom, limit: number): Promise<string[]> {
  const reader = await testUser(hs, "local");
  const ids: string[] = [];
  let from: Place | undefined;
  for (let count = 0; count < 200; count++) {
    const view = await viewOfRoom(hs, reader, room.roomId);
    const request = { direction: "b" as const, from, to: undefined, limit, filter: undefined };
    const page = await readMessages(hs, reader, view, request);
    ids.push(...page.events.map((it) => it.eventId));
    if (!page.end || (page.events.length === 0 && from === page.end)) return ids;
    from = page.end;
  }
  throw new Error("the pages have no end");
}

describe("a room that lacks events", () => {
  test("takes in what waits for others when these can be had", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    const [lost, waits, last] = chain(shared, 3) as [EventId, EventId, EventId];
    await peer.send(hs, [wire(waits), wire(last)]);
    expect(await shown(shared)).toEqual([joined]);
    await fill();
    expect(await shown(shared)).toEqual([joined]);

    peer.answer(answersFrom(remote));
    await fill();
    expect(await shown(shared)).toEqual([joined, lost, waits, last]);
    expect((await missing(shared)).filter((it) => it.owed)).toEqual([]);
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
    const ids = chain(shared, 260);
    const topic = { type: "m.room.topic", state_key: "", content: { topic: "unheard" } };
    ids.push(remote.add(peer.user("creator"), topic, ids.slice(-1)));
    ids.push(...chain(shared, 3, ids.at(-1)));
    const answers = answersFrom(remote);
    // It tells what the state is, and at first nothing of what led to it.
    peer.answer((it) => (/missing|backfill/.test(it.path) ? undefined : answers(it)));
    const last = ids.at(-1) as EventId;
    await peer.send(hs, [wire(last)]);
    expect(await shown(shared)).toEqual([joined, last]);
    expect(await missing(shared)).toContainEqual({ missing_id: ids.at(-2), owed: true });

    peer.answer((it) => (it.path.includes("missing") ? undefined : answers(it)));
    await fill();
    expect(await shown(shared)).toEqual([joined, ...ids]);
    // Only what was before this server came is left.
    expect((await missing(shared)).map((it) => it.owed)).toEqual([false]);
  });

  test("gets it though we fail at what another lacks", async () => {
    const lacking = async (said: string) => {
      const shared = await sharedRoom(hs, peer);
      const lost = shared.remote.add(peer.user("creator"), message(said), [shared.joined]);
      const [waits = lost] = chain(shared, 1, lost);
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
    await fill();
    await hs.sql`drop trigger refusal on events`;
    expect(await shown(one.shared)).toEqual([one.shared.joined]);
    expect(await shown(other.shared)).toEqual(other.all);
    await fill();
    expect(await shown(one.shared)).toEqual(one.all);
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
    const [lost, last] = chain(shared, 2) as [EventId, EventId];
    const answers = answersFrom(remote);
    peer.answer((it) => (/missing|backfill/.test(it.path) ? undefined : answers(it)));
    await peer.send(hs, [wire(last)]);
    expect(await shown(shared)).toEqual([joined, last]);
    peer.answer((it) => (it.path.includes("missing") ? undefined : answers(it)));
    await fill();
    expect(await shown(shared)).toEqual([joined, lost, last]);
  });

  test("takes in what has waited in pieces, and in order", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, room, joined, wire } = shared;
    const [lost] = chain(shared, 1) as [EventId];
    const waits: EventId[] = [];
    for (let n = 0; n < 120; n++) {
      const before = [...waits.slice(-1), lost];
      waits.push(remote.add(peer.user("creator"), message(`waits ${n}`), before));
    }
    for (let at = 0; at < waits.length; at += 40) {
      await peer.send(hs, waits.slice(at, at + 40).map(wire));
    }
    expect(await shown(shared)).toEqual([joined]);
    await peer.send(hs, [wire(lost)]);
    expect(await shown(shared)).toEqual([joined, lost, ...waits]);
    const writes = await hs.sql<{ events: number }[]>`
      select count(*)::int as events from events
      where room_key = ${room.roomKey} and event_id = any(${waits}::text[]) group by xmin::text`;
    expect(Math.max(...writes.map((it) => it.events))).toBeLessThanOrEqual(50);
    expect((await missing(shared)).filter((it) => it.owed)).toEqual([]);
  });

  test("takes in what has waited though we ended before that", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    const [lost, waits] = chain(shared, 2) as [EventId, EventId];
    await peer.send(hs, [wire(waits)]);
    await hs.sql`
      create or replace function refuse_place() returns trigger language plpgsql as
        $$ begin raise exception 'ended'; end $$`;
    await hs.sql`
      create trigger refusal before update on events for each row
      when (new.anchor is distinct from old.anchor) execute function refuse_place()`;
    await peer.send(hs, [wire(lost)]);
    await hs.sql`drop trigger refusal on events`;
    expect(await shown(shared)).toEqual([joined, lost]);
    peer.answer(answersFrom(remote));
    await fill();
    expect(await shown(shared)).toEqual([joined, lost, waits]);
    expect((await missing(shared)).filter((it) => it.owed)).toEqual([]);
  });

  test("takes in what waits for something that turns out to be history", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    const [lost, last] = chain(shared, 2) as [EventId, EventId];
    const waits = remote.add(peer.user("creator"), message("fork"), [lost]);
    await peer.send(hs, [wire(waits)]);
    const answers = answersFrom(remote);
    peer.answer((it) => (/missing|backfill/.test(it.path) ? undefined : answers(it)));
    await peer.send(hs, [wire(last)]);
    expect(await shown(shared)).toEqual([joined, last]);
    peer.answer(answers);
    await pages(shared, 50);
    expect(await shown(shared)).toEqual([...remote.events.keys()].toSpliced(-2, 2, last, waits));
  });

  test("does not take its past for news, nor ask for it unless somebody wants it", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, wire } = shared;
    peer.answer(answersFrom(remote));
    await fill();
    expect(peer.asked).toEqual([]);
    // It forks from what was before this server came.
    const before = [...remote.events.keys()].at(-2) as EventId;
    const fork = remote.add(peer.user("creator"), message("fork"), [before]);
    await peer.send(hs, [wire(fork)]);
    await fill();
    expect(await shown(shared)).toEqual([joined, fork]);
  });
});

describe("who reads backwards", () => {
  test.each([1, 7, 50, 1000])("reads the past of before we came, %i at a time", async (limit) => {
    const shared = await sharedRoom(hs, peer, {
      state: Array.from({ length: 30 }, (_, index) =>
        index % 3 === 0
          ? { type: "m.room.topic", state_key: "", content: { topic: `${index}` } }
          : message(`past ${index}`),
      ),
    });
    const { remote, wire } = shared;
    await peer.send(hs, chain(shared, 4).map(wire));
    peer.answer(answersFrom(remote));
    expect(await pages(shared, limit)).toEqual([...remote.events.keys()].toReversed());
    expect(await missing(shared)).toEqual([]);
    // Now it is here.
    peer.answer(() => undefined);
    peer.asked.length = 0;
    expect(await pages(shared, 9)).toEqual([...remote.events.keys()].toReversed());
    expect(peer.asked).toEqual([]);
  });

  test("reads the past where it forks and members change", async () => {
    const shared = await sharedRoom(hs, peer, {
      past(remote, last) {
        const [a, b] = ["a", "b"].map((it) => {
          const user = peer.user(it);
          const joins = remote.add(user, memberDraft(user, "join"), [last]);
          return remote.add(
            user,
            memberDraft(user, "leave"),
            chain({ remote, joined: joins }, 3).slice(-1),
          );
        }) as [EventId, EventId];
        return remote.add(peer.user("creator"), message("both"), [a, b]);
      },
    });
    peer.answer(answersFrom(shared.remote));
    const ids = await pages(shared, 5);
    expect(new Set(ids)).toEqual(new Set(shared.remote.events.keys()));
    expect(ids.length).toBe(shared.remote.events.size);
  });

  test("gets what there is if nobody answers, and the rest when somebody does", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined } = shared;
    const reader = await testUser(hs, "local");
    const view = await viewOfRoom(hs, reader, shared.room.roomId);
    const request = { direction: "b" as const, to: undefined, limit: 50, filter: undefined };
    const first = await readMessages(hs, reader, view, { ...request, from: undefined });
    expect(first.events.map((it) => it.eventId)).toEqual([joined]);
    // There is more, though not now.
    expect(first.end).toBeDefined();
    const second = await readMessages(hs, reader, view, { ...request, from: first.end });
    expect(second).toMatchObject({ events: [], end: first.end });
    const asked = peer.asked.length;
    await readMessages(hs, reader, view, { ...request, from: first.end });
    expect(peer.asked.length).toBe(asked);

    await hs.sql`update missing_events set due_ms = 0`;
    peer.answer(answersFrom(remote));
    const third = await readMessages(hs, reader, view, { ...request, from: first.end });
    expect(third.events.map((it) => it.eventId)).toEqual(
      [...remote.events.keys()].toReversed().slice(1),
    );
  });

  test("is not told that what is on both sides of a hole follows each other", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined, room, wire } = shared;
    const [lost, next, last] = chain(shared, 3) as [EventId, EventId, EventId];
    const answers = answersFrom(remote);
    // What the state is before what follows the hole is told, and nothing of what is in it.
    peer.answer((it) => (/missing|backfill/.test(it.path) ? undefined : answers(it)));
    await peer.send(hs, [wire(next)]);
    await peer.send(hs, [wire(last)]);
    const reader = await testUser(hs, "local");
    const view = await viewOfRoom(hs, reader, room.roomId);
    const request = { direction: "b" as const, to: undefined, limit: 3, filter: undefined };
    const read = async (from: Place | undefined) => {
      const { events, end } = await readMessages(hs, reader, view, { ...request, from });
      return { ids: events.map((it) => it.eventId), end };
    };
    const first = await read(undefined);
    expect(first.ids).toEqual([last, next]);
    // It is not kept from who wants to read on.
    expect((await read(first.end)).ids).toEqual([joined]);

    await hs.sql`update missing_events set due_ms = 0`;
    peer.answer(answers);
    const { ids } = await read(first.end);
    expect(ids.slice(0, 2)).toEqual([lost, joined]);
  });

  test("gets what is before once the servers that have it are back after a moment", async () => {
    const shared = await sharedRoom(hs, peer);
    const { remote, joined } = shared;
    peer.answer(() => undefined);
    expect(await pages(shared, 50)).toEqual([joined]);
    peer.answer(answersFrom(remote));
    const all = [...remote.events.keys()].toReversed();
    await expect.poll(async () => await pages(shared, 50)).toEqual(all);
  });

  test("waits no longer than they want to, and finds what came too late the next time", async () => {
    // Nobody tells by which key its users' events are signed, until somebody does.
    const { promise: told, resolve: tell } = Promise.withResolvers<void>();
    const slow = await testPeer(federation, "liar.test", { isReady: told });
    const shared = await sharedRoom(hs, peer, {
      past(remote, last) {
        const user = slow.user("slow");
        return remote.add(user, memberDraft(user, "join"), [last]);
      },
    });
    peer.answer(answersFrom(shared.remote));
    const [hole] = await hs.sql<{ event_key: number }[]>`
      select event_key from missing_events where room_key = ${shared.room.roomKey}`;
    const begun = performance.now();
    const read = async () =>
      await fetchPast(hs, shared.room, hole?.event_key ?? 0, AbortSignal.timeout(300));
    // The second one waits for what the first has begun.
    expect(await Promise.all([read(), read()])).toEqual([false, false]);
    expect(performance.now() - begun).toBeLessThan(3_000);
    tell();
    const all = [...shared.remote.events.keys()].toReversed();
    await expect.poll(async () => await pages(shared, 50), { timeout: 15_000 }).toEqual(all);
  });

  test("is not told what a server makes up that leads nowhere", async () => {
    const shared = await sharedRoom(hs, peer);
    const other = await sharedRoom(hs, peer);
    const { remote, joined } = shared;
    const stray = remote.add(peer.user("creator"), message("stray"), [joined]);
    const answers = answersFrom(remote);
    peer.answer((it) => {
      if (!it.path.includes("backfill")) return answers(it);
      const made = [stray, "x", 7, {}, other.wire(other.joined), shared.wire(stray)];
      return { pdus: made.filter((pdu) => typeof pdu === "object") };
    });
    expect(await pages(shared, 50)).toEqual([joined]);
    expect(await shown(other)).toEqual([other.joined]);
  });
});

describe("who asks for a moment", () => {
  test("of before we came gets what was sent then, and can read on from there", async () => {
    const shared = await sharedRoom(hs, peer, {
      state: Array.from({ length: 250 }, (_, index) => message(`past ${index}`)),
    });
    const { remote, room } = shared;
    peer.answer(answersFrom(remote));
    const reader = await testUser(hs, "local");
    const { standing } = await viewOfRoom(hs, reader, room.roomId);
    const visible = async (events: readonly StoredEvent[]) =>
      await visibleEvents(hs, reader, events, standing);
    const ids = [...remote.events.keys()];
    const find = async (index: number, direction: "f" | "b") => {
      const { origin_server_ts: ts = 0 } = remote.graph.events.get(ids[index] as EventId) ?? {};
      await fetchAround(hs, room, ts);
      return (await findByTimestamp(hs, room, { ts, direction }, visible))?.eventId;
    };
    expect(await find(200, "b")).toBe(ids[200]);
    // No more was fetched than was needed.
    expect((await shown(shared)).length).toBe(101);
    for (const index of [250, 200, 120, 40, 3, 0]) {
      expect(await find(index, "f")).toBe(ids[index]);
      expect(await find(index, "b")).toBe(ids[index]);
    }
  });
});
