import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type ClientEvent, joinedRoom, type SlidingAnswer, type SyncAnswer } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

// Proposal 4354: events of which every member of a room is told for a while.

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const DURATION = "org.matrix.msc4354.sticky_duration_ms";
const TYPE = "org.example.in_call";

let txnId = 0;

async function stick(user: TestUser, roomId: string, content: object = {}, durationMs = 300_000) {
  const path = `/v3/rooms/${roomId}/send/${TYPE}/${(txnId += 1)}?${DURATION}=${durationMs}`;
  const { status, body, text } = await user.call("PUT", path, content);
  if (status !== 200) throw new Error(text);
  return body.event_id as string;
}

async function room(...others: readonly TestUser[]): Promise<string> {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  for (const it of others) await it.call("POST", `/v3/join/${roomId}`, {});
  return roomId;
}

async function talk(roomId: string, messages = 12): Promise<void> {
  for (let n = 0; n < messages; n++) await alice.sendText(roomId, `${n}`);
}

const stickyOf = (answer: SyncAnswer, roomId: string) =>
  answer.rooms?.join?.[roomId]?.msc4354_sticky?.events ?? [];
const idsOf = (events: readonly Pick<ClientEvent, "event_id">[] = []) =>
  events.map((it) => it.event_id);

describe("a sticky event", () => {
  test("says for how long it is, and for how long still", async () => {
    const roomId = await room();
    const eventId = await stick(alice, roomId, { n: 1 });
    const path = `/v3/rooms/${roomId}/event/${encodeURIComponent(eventId)}`;
    const event = (await alice.call("GET", path)).body;
    expect(event).toMatchObject({ content: { n: 1 }, msc4354_sticky: { duration_ms: 300_000 } });
    const left = event.unsigned.msc4354_sticky_duration_ttl_ms;
    expect(left).toBeGreaterThan(200_000);
    expect(left).toBeLessThanOrEqual(300_000);
    const { unstable_features } = (await hs.request("GET", "/versions")).body;
    expect(unstable_features["org.matrix.msc4354"]).toBe(true);
  });

  test("is told by the timeline, and only by that, where it is in it", async () => {
    const roomId = await room(bob);
    const since = (await bob.sync()).next_batch;
    const eventId = await stick(alice, roomId);
    const answer = await bob.sync({ since });
    const { timeline } = joinedRoom(answer, roomId);
    expect(idsOf(timeline.events)).toEqual([eventId]);
    expect(timeline.events[0]?.msc4354_sticky).toEqual({ duration_ms: 300_000 });
    expect(stickyOf(answer, roomId)).toEqual([]);
    expect(stickyOf(await bob.sync({ since: answer.next_batch }), roomId)).toEqual([]);
  });

  test("is told once, beside the timeline, where that has moved on", async () => {
    const roomId = await room(bob);
    const since = (await bob.sync()).next_batch;
    const eventId = await stick(alice, roomId, { n: 1 });
    await talk(roomId);
    const answer = await bob.sync({ since });
    expect(joinedRoom(answer, roomId).timeline.limited).toBe(true);
    const [event] = stickyOf(answer, roomId);
    expect(event).toMatchObject({
      event_id: eventId,
      sender: alice.userId,
      content: { n: 1 },
      unsigned: { msc4354_sticky_duration_ttl_ms: expect.any(Number) },
    });
    expect(event).not.toHaveProperty("room_id");
    await alice.sendText(roomId, "on");
    expect(stickyOf(await bob.sync({ since: answer.next_batch }), roomId)).toEqual([]);
    expect(idsOf(stickyOf(await bob.sync(), roomId))).toEqual([eventId]);
  });

  test("is told to those who come later, though they may not see what was said before", async () => {
    const visibility = { history_visibility: "joined" };
    const roomId = await alice.createRoom({
      preset: "public_chat",
      initial_state: [{ type: "m.room.history_visibility", state_key: "", content: visibility }],
    });
    const eventId = await stick(alice, roomId);
    const since = (await bob.sync()).next_batch;
    await bob.call("POST", `/v3/join/${roomId}`, {});
    const answer = await bob.sync({ since });
    expect(idsOf(joinedRoom(answer, roomId).timeline.events)).not.toContain(eventId);
    expect(idsOf(stickyOf(answer, roomId))).toEqual([eventId]);
  });

  test("is told though a filter keeps it out of the timeline", async () => {
    const roomId = await room(bob);
    const since = (await bob.sync()).next_batch;
    const eventId = await stick(alice, roomId);
    const filter = JSON.stringify({ room: { timeline: { not_types: [TYPE] } } });
    expect(idsOf(stickyOf(await bob.sync({ since, filter }), roomId))).toEqual([eventId]);
  });

  test("wakes those who wait, with a filter that leaves nothing else", async () => {
    // That they are there would be news to them as well.
    const waiter = await hs.registerUser("waiter");
    const set_presence = "offline";
    const roomId = await room(waiter);
    const since = (await waiter.sync({ set_presence })).next_batch;
    const filter = JSON.stringify({ room: { timeline: { types: [] } } });
    const waiting = waiter.sync({ set_presence, since, filter, timeout: "15000" });
    const eventId = await stick(alice, roomId);
    expect(idsOf(stickyOf(await waiting, roomId))).toEqual([eventId]);
  });

  test("is not told any more when its time is over, nor of whom one ignores, nor redacted", async () => {
    const carol = await hs.registerUser("carol");
    const roomId = await room(bob, carol);
    const over = await stick(carol, roomId, {}, 1);
    const ignored = await stick(bob, roomId);
    const redacted = await stick(alice, roomId);
    await alice.call("PUT", `/v3/rooms/${roomId}/redact/${redacted}/${(txnId += 1)}`, {});
    const kept = await stick(alice, roomId);
    await talk(roomId);
    const ignore = { ignored_users: { [bob.userId]: {} } };
    const type = "m.ignored_user_list";
    await carol.call("PUT", `/v3/user/${carol.userId}/account_data/${type}`, ignore);
    const told = idsOf(stickyOf(await carol.sync(), roomId));
    expect(told).toEqual([kept]);
    expect(told).not.toContain(over);
    expect(idsOf(stickyOf(await bob.sync(), roomId))).toEqual([ignored, kept]);
  });

  test("comes with the next answers where there are too many at once", async () => {
    const [finn, gina] = [await hs.registerUser("finn-many"), await hs.registerUser("gina-many")];
    const roomId = await finn.createRoom({ preset: "public_chat" });
    const other = await finn.createRoom({ preset: "public_chat" });
    await gina.call("POST", `/v3/join/${roomId}`, {});
    const ids: string[] = [];
    for (let n = 0; n < 70; n++) {
      ids.push(await stick(finn, roomId), await stick(finn, other), await stick(gina, roomId));
    }
    const reader = await hs.registerUser("reader");
    const since = (await reader.sync()).next_batch;
    await reader.call("POST", `/v3/join/${roomId}`, {});
    for (let n = 0; n < 12; n++) await gina.sendText(roomId, `${n}`);
    const expected = ids.filter((_, index) => index % 3 !== 1);
    const first = await reader.sync({ since, timeout: "0" });
    expect(idsOf(stickyOf(first, roomId))).toEqual(expected.slice(0, 100));
    expect(idsOf(stickyOf(await reader.sync(), roomId))).toEqual(expected.slice(0, 100));
    // There is more to tell, so nobody waits.
    const second = await reader.sync({ since: first.next_batch, timeout: "60000" });
    expect(idsOf(stickyOf(second, roomId))).toEqual(expected.slice(100));
    const third = await reader.sync({ since: second.next_batch, timeout: "0" });
    expect(stickyOf(third, roomId)).toEqual([]);
    // Who comes to another room meanwhile is told of what was said there before, too.
    await reader.call("POST", `/v3/join/${other}`, {});
    for (let n = 0; n < 12; n++) await finn.sendText(other, `${n}`);
    const told = new Set<string>();
    for (let token = first.next_batch; ;) {
      const answer = await reader.sync({ since: token, timeout: "0" });
      const its = [...stickyOf(answer, roomId), ...stickyOf(answer, other)];
      if (its.length === 0) break;
      expect(its.length).toBeLessThanOrEqual(100);
      for (const it of idsOf(its)) told.add(it);
      token = answer.next_batch;
    }
    expect([...told].toSorted()).toEqual(ids.toSorted());
  }, 60_000);

  test("may be state, which is set again to be sticky for longer", async () => {
    const roomId = await room();
    const path = `/v3/rooms/${roomId}/state/${TYPE}/key?${DURATION}=60000`;
    const first = (await alice.call("PUT", path, { n: 1 })).body.event_id;
    const again = (await alice.call("PUT", path, { n: 1 })).body.event_id;
    expect(again).not.toBe(first);
    await talk(roomId);
    expect(idsOf(stickyOf(await alice.sync(), roomId))).toEqual([first, again]);
  });

  test("may be sent later", async () => {
    const roomId = await room();
    const query = `${DURATION}=60000&org.matrix.msc4140.delay=10`;
    const path = `/v3/rooms/${roomId}/send/${TYPE}/${(txnId += 1)}?${query}`;
    expect((await alice.call("PUT", path, {})).body.delay_id).toEqual(expect.any(String));
    const isThere = (it: ClientEvent) => it.type === TYPE;
    const answer = await alice.syncUntil((it) =>
      (it.rooms?.join?.[roomId]?.timeline.events ?? []).some(isThere),
    );
    const event = joinedRoom(answer, roomId).timeline.events.find(isThere);
    expect(event?.msc4354_sticky).toEqual({ duration_ms: 60_000 });
  });

  test.each(["-1", "3600001", "long", "1.5", ""])("cannot be so for %j", async (duration) => {
    const roomId = await room();
    const path = `/v3/rooms/${roomId}/send/${TYPE}/${(txnId += 1)}?${DURATION}=${duration}`;
    expect(await alice.call("PUT", path, {})).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });

  test("has few beside it of the same user in the same room", async () => {
    const dora = await hs.registerUser("dora");
    const roomId = await room(dora);
    for (let n = 0; n < 100; n++) await stick(dora, roomId);
    const path = `/v3/rooms/${roomId}/send/${TYPE}/${(txnId += 1)}?${DURATION}=60000`;
    const refused = refusal(429, "M_LIMIT_EXCEEDED");
    expect(await dora.call("PUT", path, {})).toMatchObject(refused);
    expect((await alice.call("PUT", path, {})).status).toBe(200);
  });
});

describe("sliding sync", () => {
  const NAME = "org.matrix.msc4354.sticky_events";

  const StickyRooms = z.record(
    z.string(),
    z.object({ events: z.array(z.looseObject({ event_id: z.string() })) }),
  );

  async function slide(user: TestUser, extension: object, further: object = {}) {
    const list = { ranges: [[0, 0]], timeline_limit: 1, required_state: [] };
    const body = {
      lists: { all: list },
      extensions: { [NAME]: { enabled: true, ...extension } },
      ...further,
    };
    const path = "/unstable/org.matrix.simplified_msc3575/sync";
    const { status, body: answer, text } = await user.call<SlidingAnswer>("POST", path, body);
    if (status !== 200) throw new Error(text);
    const told = answer.extensions[NAME];
    return { next: told?.["next_batch"], rooms: StickyRooms.parse(told?.["rooms"] ?? {}) };
  }

  test("tells them by a token of their own, also of rooms outside the window", async () => {
    const eve = await hs.registerUser("eve");
    const roomId = await room(eve);
    const ids = [
      await stick(alice, roomId),
      await stick(alice, roomId),
      await stick(alice, roomId),
    ];
    // The one room in the window.
    await eve.createRoom();
    const first = await slide(eve, { limit: 2 });
    expect(idsOf(first.rooms[roomId]?.events)).toEqual(ids.slice(0, 2));
    expect(idsOf((await slide(eve, { limit: 2 })).rooms[roomId]?.events)).toEqual(ids.slice(0, 2));
    const second = await slide(eve, { limit: 2, since: first.next });
    expect(idsOf(second.rooms[roomId]?.events)).toEqual(ids.slice(2));
    expect((await slide(eve, { since: second.next })).rooms).toEqual({});
  });

  test("tells those of a room that the user comes to, but not what its timeline has", async () => {
    const finn = await hs.registerUser("finn");
    const roomId = await room();
    const eventId = await stick(alice, roomId);
    const other = await room(finn);
    await stick(alice, other);
    const { next } = await slide(finn, {});
    await finn.call("POST", `/v3/join/${roomId}`, {});
    const joined = await slide(finn, { since: next });
    expect(idsOf(joined.rooms[roomId]?.events)).toEqual([eventId]);
    expect(joined.rooms[other]).toBeUndefined();
    await stick(alice, roomId);
    const last = await slide(finn, { since: joined.next });
    expect(last.rooms).toEqual({});
    expect((await slide(finn, { since: last.next })).rooms).toEqual({});
  });
});
