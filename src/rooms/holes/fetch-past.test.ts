import { describe, expect, test } from "vitest";
import { answersFrom, sharedRoom, testPeer } from "#federation/inbound/testing.ts";
import { memberDraft, message } from "#src/events/testing.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { testUser } from "#src/testing.ts";
import { fetchAround, findByTimestamp } from "#src/timeline/find-by-timestamp.ts";
import { readMessages } from "#src/timeline/read-messages.ts";
import type { Place } from "#src/timeline/token.ts";
import { viewOfRoom } from "#src/timeline/view-of-room.ts";
import { visibleEvents } from "#src/timeline/visible-events.ts";
import type { StoredEvent } from "../stored-event.ts";
import { fetchPast } from "./fetch-past.ts";
import { chain, missing, pages, shown, holedFederation } from "./testing.ts";

const { federation, hs, peer } = await holedFederation();

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
    await peer.send(hs, chain(peer, shared, 4).map(wire));
    peer.answer(answersFrom(remote));
    expect(await pages(hs, shared, limit)).toEqual([...remote.events.keys()].toReversed());
    expect(await missing(hs, shared)).toEqual([]);
    // Now it is here.
    peer.answer(() => undefined);
    peer.asked.length = 0;
    expect(await pages(hs, shared, 9)).toEqual([...remote.events.keys()].toReversed());
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
            chain(peer, { remote, joined: joins }, 3).slice(-1),
          );
        }) as [EventId, EventId];
        return remote.add(peer.user("creator"), message("both"), [a, b]);
      },
    });
    peer.answer(answersFrom(shared.remote));
    const ids = await pages(hs, shared, 5);
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
    const [lost, next, last] = chain(peer, shared, 3) as [EventId, EventId, EventId];
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
    expect(await pages(hs, shared, 50)).toEqual([joined]);
    peer.answer(answersFrom(remote));
    const all = [...remote.events.keys()].toReversed();
    await expect.poll(async () => await pages(hs, shared, 50)).toEqual(all);
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
    await expect.poll(async () => await pages(hs, shared, 50), { timeout: 15_000 }).toEqual(all);
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
    expect(await pages(hs, shared, 50)).toEqual([joined]);
    expect(await shown(hs, other)).toEqual([other.joined]);
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
    expect((await shown(hs, shared)).length).toBe(101);
    for (const index of [250, 200, 120, 40, 3, 0]) {
      expect(await find(index, "f")).toBe(ids[index]);
      expect(await find(index, "b")).toBe(ids[index]);
    }
  });
});
