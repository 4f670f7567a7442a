import { describe, expect, test } from "vitest";
import { type ClientEvent, joinedRoom, present, receiptsIn, type SyncAnswer } from "../answers.ts";
import { homeserver, refusal, type TestUser, timelineHas } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const roomId = await alice.createRoom({ preset: "public_chat" });
await bob.call("POST", `/v3/join/${roomId}`, {});
const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
const forbidden = refusal(403, "M_FORBIDDEN");
const ephemeralOf = (answer: SyncAnswer, type: string) =>
  (answer.rooms?.join?.[roomId]?.ephemeral?.events ?? []).find((it) => it.type === type);

const receiptsOf = (answer: SyncAnswer) => receiptsIn(answer.rooms?.join?.[roomId]);
const stateOf = async (user: TestUser, id: string) =>
  (await user.call<readonly ClientEvent[]>("GET", `/v3/rooms/${id}/state`)).body;

/** @spec client-server-api#get_matrixclientv3sync */
describe("sync", () => {
  test("begins with rooms and their state, and goes on with what is new", async () => {
    const first = await alice.sync();
    const { state, timeline } = joinedRoom(first, roomId);
    const types = [...state.events, ...timeline.events].map((it) => it.type);
    expect(types).toEqual(expect.arrayContaining(["m.room.create", "m.room.member"]));
    expect((await alice.sync({ since: first.next_batch })).rooms?.join?.[roomId]).toBeUndefined();
    const eventId = await bob.sendText(roomId, "new");
    const next = await alice.sync({ since: first.next_batch });
    expect(joinedRoom(next, roomId).timeline.events.map((it) => it.event_id)).toEqual([eventId]);
  });

  test("waits for news as long as it is told, and no longer", async () => {
    // That somebody is there would be news as well: neither of these two ever is.
    const [carol, dave] = [await hs.registerUser("carol"), await hs.registerUser("dave")];
    const theirs = await dave.createRoom({ preset: "public_chat" });
    await carol.call("POST", `/v3/join/${theirs}`, {});
    const set_presence = "offline";
    const { next_batch: since } = await carol.sync({ set_presence });
    const begun = performance.now();
    const idle = await carol.sync({ set_presence, since, timeout: "300" });
    expect(performance.now() - begun).toBeGreaterThan(250);
    expect(idle.rooms?.join ?? {}).toEqual({});
    const waiting = carol.sync({ set_presence, since: idle.next_batch, timeout: "10000" });
    const eventId = await dave.sendText(theirs, "wake up");
    expect(timelineHas(theirs, eventId)(await waiting)).toBe(true);
  });

  test("tells of a new room also that nothing is going on in it", async () => {
    const quiet = await alice.createRoom({});
    const none = { events: [] };
    expect(joinedRoom(await alice.sync(), quiet)).toMatchObject({
      ephemeral: none,
      account_data: none,
    });
  });

  test("tells of a gap, and the state that it hides", async () => {
    const { next_batch: since } = await alice.sync();
    await alice.call("PUT", `${room}/state/org.example.gap`, { n: 1 });
    for (let index = 0; index < 3; index++) await bob.sendText(roomId, `${index}`);
    const filter = JSON.stringify({ room: { timeline: { limit: 2 } } });
    const { state, timeline } = joinedRoom(await alice.sync({ since, filter }), roomId);
    expect(timeline).toMatchObject({ limited: true, prev_batch: expect.any(String) });
    expect(timeline.events).toHaveLength(2);
    expect(state.events.map((it) => it.type)).toContain("org.example.gap");
    const after = await alice.sync({ since, filter, use_state_after: "true" });
    const told = present(joinedRoom(after, roomId).state_after).events;
    expect(told.map((it) => it.type)).toContain("org.example.gap");
  });

  test("tells of a state what it took the place of, and whose that was", async () => {
    const direct = await alice.createRoom({ invite: [bob.userId], is_direct: true });
    await bob.call("POST", `/v3/join/${direct}`, {});
    const { state, timeline } = joinedRoom(await bob.sync(), direct);
    const events = [...state.events, ...timeline.events];
    const joined = events.find(
      (it) => it.state_key === bob.userId && it.content.is_direct !== true,
    );
    // By this a client knows whose direct messages it has accepted.
    expect(joined?.unsigned).toMatchObject({
      prev_content: { membership: "invite", is_direct: true },
      prev_sender: alice.userId,
      replaces_state: expect.stringMatching(/^\$/),
    });
  });

  test.each([
    ["joined", false],
    ["invited", false],
    ["shared", true],
    ["world_readable", true],
  ])(
    "tells who comes later what state took the place of, if they may see that: where it is %s, %s",
    async (history_visibility, isTold) => {
      const visibility = { type: "m.room.history_visibility", content: { history_visibility } };
      const request = { preset: "public_chat", topic: "old", initial_state: [visibility] };
      const later = await alice.createRoom(request);
      const topic = `/v3/rooms/${later}/state/m.room.topic`;
      await alice.call("PUT", topic, { topic: "new" });
      await bob.call("POST", `/v3/join/${later}`, {});
      const isTopic = (it: ClientEvent) => it.type === "m.room.topic";
      const { state, timeline } = joinedRoom(await bob.sync(), later);
      const told = present([...state.events, ...timeline.events].findLast(isTopic));
      const now = present((await stateOf(bob, later)).find(isTopic));
      for (const { content, unsigned } of [told, now]) {
        expect(content.topic).toBe("new");
        expect(unsigned.prev_content?.topic).toBe(isTold ? "old" : undefined);
      }
      const own = (await stateOf(alice, later)).find(isTopic);
      expect(own?.unsigned.prev_content?.topic).toBe("old");
      // What changes while they are there they see change.
      await alice.call("PUT", topic, { topic: "newest" });
      const { events } = joinedRoom(await bob.sync(), later).timeline;
      expect(events.findLast(isTopic)?.unsigned.prev_content?.topic).toBe("new");
    },
  );

  test("tells a device its own transaction IDs, and no other", async () => {
    const { next_batch: since } = await alice.sync();
    const content = { msgtype: "m.text", body: "mine" };
    await alice.call("PUT", `${room}/send/m.room.message/my-txn`, content);
    const of = (answer: SyncAnswer) =>
      joinedRoom(answer, roomId).timeline.events.at(-1)?.unsigned?.transaction_id;
    expect(of(await alice.sync({ since }))).toBe("my-txn");
    expect(of(await bob.sync())).toBeUndefined();
  });

  test("shows rooms that were left, once, and all of them to who asks", async () => {
    const left = await alice.createRoom();
    const { next_batch: since } = await alice.sync();
    await alice.call("POST", `/v3/rooms/${left}/leave`, {});
    const told = await alice.sync({ since });
    expect(told.rooms?.leave).toHaveProperty([left]);
    expect((await alice.sync()).rooms?.leave ?? {}).not.toHaveProperty([left]);
    const filter = JSON.stringify({ room: { include_leave: true } });
    expect((await alice.sync({ filter })).rooms?.leave).toHaveProperty([left]);
  });

  test.each([
    "since=nowhere",
    "timeout=soon",
    "full_state=maybe",
    "filter=none",
    "filter=%7B",
    "filter=%7B%22room%22%3A1%7D",
  ])("refuses %s", async (query) => {
    const answer = await alice.call("GET", `/v3/sync?${query}`);
    expect(answer).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidreceiptreceipttypeeventid */
describe("postReceipt", () => {
  test("tells the room what one has read, and the server's count follows", async () => {
    const eventId = await alice.sendText(roomId, "read this");
    const unread = (answer: SyncAnswer) =>
      answer.rooms?.join?.[roomId]?.unread_notifications?.notification_count ?? -1;
    const { next_batch: since } = await bob.syncUntil((it) => unread(it) > 0);
    expect(await bob.call("POST", `${room}/receipt/m.read/${eventId}`, {})).toMatchObject({
      status: 200,
      body: {},
    });
    const told = await alice.syncUntil(
      (it) => receiptsOf(it)[eventId]?.["m.read"]?.[bob.userId] !== undefined,
    );
    expect(receiptsOf(told)[eventId]?.["m.read"]?.[bob.userId]?.ts).toBeGreaterThan(0);
    const read = await bob.syncUntil((it) => unread(it) === 0, since);
    expect(joinedRoom(read, roomId).unread_notifications.notification_count).toBe(0);
  });

  test("keeps a private receipt from others", async () => {
    const eventId = await alice.sendText(roomId, "in secret");
    const since = (await alice.sync()).next_batch;
    await bob.call("POST", `${room}/receipt/m.read.private/${eventId}`, {});
    const own = await bob.sync();
    expect(receiptsOf(own)[eventId]).toHaveProperty(["m.read.private"]);
    expect(ephemeralOf(await alice.sync({ since }), "m.receipt")).toBeUndefined();
  });

  test("is for members, of kinds that there are", async () => {
    const eventId = await alice.sendText(roomId, "there");
    const mallory = await hs.registerUser("mallory");
    const path = `${room}/receipt/m.read/${eventId}`;
    expect(await mallory.call("POST", path, {})).toMatchObject(forbidden);
    const bad = await bob.call("POST", `${room}/receipt/m.unread/${eventId}`, {});
    expect(bad).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect((await bob.call("POST", path, { thread_id: "" })).status).toBe(400);
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidread_markers */
describe("setReadMarker", () => {
  test("moves the marker and the receipts", async () => {
    const eventId = await alice.sendText(roomId, "up to here");
    const body = { "m.fully_read": eventId, "m.read": eventId };
    expect(await bob.call("POST", `${room}/read_markers`, body)).toMatchObject({
      status: 200,
      body: {},
    });
    const own = joinedRoom(await bob.sync(), roomId);
    expect(own.account_data.events).toContainEqual({
      type: "m.fully_read",
      content: { event_id: eventId },
    });
    const seen = receiptsOf(await alice.sync());
    expect(seen[eventId]?.["m.read"]).toHaveProperty([bob.userId]);
    const mallory = await hs.registerUser("mallory");
    expect(await mallory.call("POST", `${room}/read_markers`, body)).toMatchObject(forbidden);
  });

  test("moves the marker back, and that alone, only where one wants it (MSC4446)", async () => {
    const [older, newer] = [await alice.sendText(roomId, "1"), await alice.sendText(roomId, "2")];
    const back = { "com.beeper.allow_backward": true };
    const own = async () => {
      const told = await bob.sync();
      const { events } = joinedRoom(told, roomId).account_data;
      const marker = events.find((it) => it.type === "m.fully_read");
      const receipts = receiptsOf(told);
      const read = [older, newer].find((it) => receipts[it]?.["m.read"]?.[bob.userId]);
      return { marker: marker?.content["event_id"], read };
    };
    const move = async (eventId: string, further: object = {}) => {
      const body = { "m.fully_read": eventId, "m.read": eventId, ...further };
      expect((await bob.call("POST", `${room}/read_markers`, body)).status).toBe(200);
    };
    await move(newer);
    await move(older);
    expect(await own()).toEqual({ marker: newer, read: newer });
    await move(older, back);
    expect(await own()).toEqual({ marker: older, read: newer });
    await move(newer);
    const path = (type: string) => `${room}/receipt/${type}/${encodeURIComponent(older)}`;
    expect((await bob.call("POST", path("m.fully_read"), back)).status).toBe(200);
    expect(await own()).toEqual({ marker: older, read: newer });
    expect(await bob.call("POST", path("m.read"), back)).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });
});

/** @spec client-server-api#put_matrixclientv3roomsroomidtypinguserid */
describe("setTyping", () => {
  test("tells the room who is typing, until they say that they are not", async () => {
    const set = async (typing: boolean) =>
      await bob.call("PUT", `${room}/typing/${bob.userId}`, { typing, timeout: 20_000 });
    const who = (answer: SyncAnswer) => ephemeralOf(answer, "m.typing")?.content.user_ids;
    const { next_batch: since } = await alice.sync();
    expect(await set(true)).toMatchObject({ status: 200, body: {} });
    const typing = await alice.syncUntil((it) => who(it)?.length === 1, since);
    expect(who(typing)).toEqual([bob.userId]);
    await set(false);
    await alice.syncUntil((it) => who(it)?.length === 0, typing.next_batch);
  });

  test("tells who has left and come back that somebody has stopped meanwhile", async () => {
    const carol = await hs.registerUser("carol");
    const id = await bob.createRoom({ preset: "public_chat" });
    const set = async (typing: boolean) =>
      await bob.call("PUT", `/v3/rooms/${id}/typing/${bob.userId}`, { typing, timeout: 20_000 });
    const who = (answer: SyncAnswer) =>
      answer.rooms?.join?.[id]?.ephemeral?.events.find((it) => it.type === "m.typing")?.content
        .user_ids;
    await carol.call("POST", `/v3/join/${id}`, {});
    await set(true);
    const { next_batch: since } = await carol.syncUntil((it) => who(it)?.length === 1);
    await carol.call("POST", `/v3/rooms/${id}/leave`, {});
    await set(false);
    await carol.call("POST", `/v3/join/${id}`, {});
    const back = await carol.syncUntil((it) => who(it) !== undefined, since);
    expect(who(back)).toEqual([]);
  });

  test("is for oneself, in a room that one is in", async () => {
    const body = { typing: true };
    const other = await bob.call("PUT", `${room}/typing/${alice.userId}`, body);
    expect(other).toMatchObject(forbidden);
    const mallory = await hs.registerUser("mallory");
    const path = `${room}/typing/${mallory.userId}`;
    expect(await mallory.call("PUT", path, body)).toMatchObject(forbidden);
  });
});
