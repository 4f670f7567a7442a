import { beforeEach, describe, expect, test } from "vitest";
import { after, bodies, LIST, Stage, type User } from "./testing.ts";

const stage = Stage.set();
const room = async (...it: Parameters<Stage["room"]>) => await stage.room(...it);
const act = async (...it: Parameters<Stage["act"]>) => await stage.act(...it);
const say = async (...it: Parameters<Stage["say"]>) => await stage.say(...it);
const sync = async (...it: Parameters<Stage["sync"]>) => await stage.sync(...it);
let alice: User;
let bob: User;
beforeEach(() => ({ alice, bob } = stage));

describe("a list", () => {
  test("tells of the rooms in its window, those first in which something has happened last", async () => {
    const rooms = [];
    for (const name of ["Room 0", "Room 1", "Room 2", "Room 3"]) {
      rooms.push(await room(alice, { name }));
    }
    await say(alice, rooms[0] ?? "", "bumped");
    const first = await sync(alice, { lists: { all: { ...LIST, ranges: [[0, 1]] } } });
    expect(first.lists).toEqual({ all: { count: 4 } });
    expect(new Set(Object.keys(first.rooms))).toEqual(new Set([rooms[0], rooms[3]]));
    expect(first.rooms[rooms[0] ?? ""]).toMatchObject({
      initial: true,
      name: "Room 0",
      joined_count: 1,
      invited_count: 0,
      limited: true,
      num_live: 0,
      notification_count: 0,
      required_state: [expect.objectContaining({ type: "m.room.name" })],
    });
    expect(bodies(first.rooms[rooms[0] ?? ""])?.at(-1)).toBe("bumped");

    const grown = await sync(
      alice,
      { lists: { all: { ...LIST, ranges: [[0, 9]] } } },
      after(first),
    );
    expect(new Set(Object.keys(grown.rooms))).toEqual(new Set([rooms[1], rooms[2]]));
    const idle = await sync(alice, { lists: { all: LIST } }, after(grown));
    expect(idle.rooms).toEqual({});
  });

  test("tells only what is new, whichever process is asked and however often", async () => {
    const roomId = await room(alice, { name: "Room" });
    await act(bob, "POST", `join/${roomId}`);
    const lists = { all: LIST };
    const first = await sync(alice, { lists });
    const eventId = await say(bob, roomId, "hello");
    for (const on of [stage.ask, stage.other, stage.ask]) {
      const query = `${after(first)}&timeout=10000`;
      const { rooms } = await sync(alice, { lists }, query, on);
      expect(rooms[roomId]).toMatchObject({ num_live: 1, limited: false, notification_count: 1 });
      expect(rooms[roomId]?.timeline?.map((it) => it.event_id)).toEqual([eventId]);
      expect(rooms[roomId]?.initial).toBeUndefined();
      expect(rooms[roomId]?.name).toBeUndefined();
    }
  });

  test("tells what is unread of a room that comes back into its window, though it was read meanwhile", async () => {
    const roomId = await room(alice, { name: "Below" });
    await act(bob, "POST", `join/${roomId}`);
    const eventId = await say(bob, roomId, "hello");
    await room(alice, { name: "Above" });
    const lists = (last: number) => ({ lists: { all: { ...LIST, ranges: [[0, last]] } } });
    const both = await sync(alice, lists(1));
    expect(both.rooms[roomId]?.notification_count).toBe(1);
    await act(alice, "POST", `rooms/${roomId}/receipt/m.read/${eventId}`);
    const one = await sync(alice, lists(0), after(both));
    expect(one.rooms).toEqual({});
    const back = await sync(alice, lists(1), after(one), stage.other);
    expect(back.rooms).toMatchObject({ [roomId]: { notification_count: 0 } });
    expect((await sync(alice, lists(1), after(back))).rooms).toEqual({});
  });

  test("tells with an event what relates to it, unless the client has it all", async () => {
    const roomId = await room(alice);
    const root = await say(alice, roomId, "root");
    const first = await sync(alice, { lists: { all: LIST } });
    const content = { body: "x", "m.relates_to": { rel_type: "m.reference", event_id: root } };
    await act(alice, "PUT", `rooms/${roomId}/send/org.example.answer/1`, content);
    const next = await sync(alice, { lists: { all: LIST } }, after(first));
    expect(next.rooms[roomId]).toMatchObject({ limited: false });
    const lists = { all: { ...LIST, timeline_limit: 2 } };
    const { rooms } = await sync(alice, { lists });
    const told = rooms[roomId]?.timeline?.find((it) => it.event_id === root);
    expect(told?.unsigned?.["m.relations"]).toMatchObject({ "m.reference": { chunk: [{}] } });
  });

  test("waits for news", async () => {
    const roomId = await room(alice);
    const lists = { all: LIST };
    const first = await sync(alice, { lists });
    const waiting = sync(alice, { lists }, `${after(first)}&timeout=10000`, stage.other);
    await say(alice, roomId, "wake up");
    expect(bodies((await waiting).rooms[roomId])).toEqual(["wake up"]);
  });
});

describe("a token", () => {
  test("is of one device, one connection, and as long as that lasts", async () => {
    const body = { lists: { all: LIST }, conn_id: "main" };
    const first = await sync(alice, body);
    const path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
    const unknown = { status: 400, body: { errcode: "M_UNKNOWN_POS" } };
    const asked = async (who: User, its: object, pos: string) =>
      await stage.ask("POST", `${path}?pos=${pos}`, { token: who.token, body: its });
    expect(await asked(bob, body, first.pos)).toMatchObject(unknown);
    expect(await asked(alice, { ...body, conn_id: "other" }, first.pos)).toMatchObject(unknown);
    expect(await asked(alice, body, "s1~999999")).toMatchObject(unknown);
    expect(await asked(alice, body, "nonsense")).toMatchObject(unknown);
    expect(await asked(alice, body, first.pos)).toMatchObject({ status: 200 });
    await sync(alice, body);
    expect(await asked(alice, body, first.pos)).toMatchObject(unknown);
  });
});

describe("a subscription", () => {
  test("tells of a room outside of all windows, and more of it when it grows", async () => {
    const roomId = await room(alice);
    for (const body of ["1", "2", "3", "4"]) await say(alice, roomId, body);
    const few = { timeline_limit: 1, required_state: [] };
    const first = await sync(alice, { room_subscriptions: { [roomId]: few } });
    expect(bodies(first.rooms[roomId])).toEqual(["4"]);
    const more = { timeline_limit: 3, required_state: [["m.room.create", ""]] };
    const second = await sync(alice, { room_subscriptions: { [roomId]: more } }, after(first));
    expect(bodies(second.rooms[roomId])).toEqual(["2", "3", "4"]);
    expect(second.rooms[roomId]).toMatchObject({
      unstable_expanded_timeline: true,
      required_state: [expect.objectContaining({ type: "m.room.create" })],
    });
    const third = await sync(alice, { room_subscriptions: { [roomId]: more } }, after(second));
    expect(third.rooms).toEqual({});
  });

  test("tells of a gap before all of a room, so that clients put the older events first", async () => {
    const roomId = await room(alice);
    await say(alice, roomId, "hello");
    const of = (timeline_limit: number) => ({
      room_subscriptions: { [roomId]: { timeline_limit, required_state: [] } },
    });
    const first = await sync(alice, of(1));
    const second = await sync(alice, of(50), after(first));
    const told = second.rooms[roomId];
    expect(told?.timeline?.[0]).toMatchObject({ type: "m.room.create" });
    expect(told).toMatchObject({ unstable_expanded_timeline: true, limited: true });
    const older = `rooms/${roomId}/messages?dir=b&from=${told?.prev_batch}`;
    expect((await stage.ask("GET", older, alice)).body).not.toHaveProperty("end");
    await say(alice, roomId, "news");
    const third = await sync(alice, of(50), after(second));
    expect(bodies(third.rooms[roomId])).toEqual(["news"]);
    expect(third.rooms[roomId]).toMatchObject({ limited: false });
  });
});

describe("a room that the user is not in", () => {
  test("is told by what outsiders may know, and anew when they join", async () => {
    const roomId = await room(alice, { name: "Room", invite: [bob.id] });
    const lists = { all: { ...LIST, required_state: [["m.room.member", "$ME"]] } };
    const first = await sync(bob, { lists });
    expect(first.rooms[roomId]).toEqual({
      initial: true,
      bump_stamp: expect.any(Number),
      invite_state: expect.arrayContaining([
        expect.objectContaining({ type: "m.room.name", content: { name: "Room" } }),
        // Which event it is, and of when: clients sort by it (MSC4319).
        expect.objectContaining({
          type: "m.room.member",
          state_key: bob.id,
          event_id: expect.stringMatching(/^\$/),
          origin_server_ts: expect.any(Number),
        }),
      ]),
    });
    await act(bob, "POST", `join/${roomId}`);
    const second = await sync(bob, { lists }, after(first));
    expect(second.rooms[roomId]).toMatchObject({
      initial: true,
      name: "Room",
      joined_count: 2,
      required_state: [{ state_key: bob.id, content: { membership: "join" } }],
    });
  });

  test("is told of once it is left, and stays out of what begins after", async () => {
    const roomId = await room(alice);
    await act(bob, "POST", `join/${roomId}`);
    const lists = { all: LIST };
    const first = await sync(bob, { lists });
    expect(first.lists?.["all"]?.count).toBe(1);
    await act(bob, "POST", `rooms/${roomId}/leave`);
    const second = await sync(bob, { lists }, after(first));
    expect(bodies(second.rooms[roomId])).toEqual(["m.room.member"]);
    await say(alice, roomId, "gone?");
    expect((await sync(bob, { lists }, after(second))).rooms).toEqual({});
    expect((await sync(bob, { lists, conn_id: "new" })).lists?.["all"]?.count).toBe(0);
  });

  test("shows those who were put out of it nothing that it has become since, whatever they become", async () => {
    const roomId = await room(alice, { name: "Before" });
    await act(bob, "POST", `join/${roomId}`);
    const required_state = [["*", "*"]];
    const by = (conn_id: string) => ({ lists: { all: { ...LIST, required_state } }, conn_id });
    const inside = { a: await sync(bob, by("a")), b: await sync(bob, by("b")) };
    await act(alice, "POST", `rooms/${roomId}/kick`, { user_id: bob.id });
    const out = await sync(bob, by("a"), after(inside.a));
    const rename = async (name: string) =>
      await act(alice, "PUT", `rooms/${roomId}/state/m.room.name/`, { name });
    await rename("secret");
    await act(alice, "POST", `rooms/${roomId}/ban`, { user_id: bob.id });
    const answers = [
      await sync(bob, by("a"), after(out)),
      await sync(bob, by("b"), after(inside.b)),
      await sync(bob, by("c")),
    ];
    for (const answer of answers) {
      const told = answer.rooms[roomId];
      expect(told?.timeline?.at(-1)).toMatchObject({ content: { membership: "ban" } });
      expect(JSON.stringify(told)).not.toContain("secret");
    }
    const [banned] = answers;
    await act(alice, "POST", `rooms/${roomId}/unban`, { user_id: bob.id });
    const { rooms } = await sync(bob, by("a"), after(banned ?? out));
    expect(JSON.stringify(rooms)).not.toContain("secret");
  });

  test("is shown to who was put out of it, unless they never were in it", async () => {
    const roomId = await room(alice);
    const other = await room(alice);
    await act(bob, "POST", `join/${roomId}`);
    for (const id of [roomId, other]) {
      await act(alice, "POST", `rooms/${id}/ban`, { user_id: bob.id });
      await say(alice, id, "banned");
    }
    const { rooms, lists } = await sync(bob, { lists: { all: LIST } });
    expect(lists?.["all"]?.count).toBe(1);
    expect(Object.keys(rooms)).toEqual([roomId]);
    expect(bodies(rooms[roomId])?.at(-1)).toBe("m.room.member");
  });
});

describe("state", () => {
  test("comes by type and key, for the user, and for those in the timeline", async () => {
    const roomId = await room(alice, { name: "Room", topic: "Topic" });
    await act(bob, "POST", `join/${roomId}`);
    await say(bob, roomId, "hello");
    const required_state = [
      ["m.room.topic", "*"],
      ["m.room.member", "$LAZY"],
    ];
    const lists = { all: { ranges: [[0, 9]], timeline_limit: 1, required_state } };
    const first = await sync(alice, { lists });
    const told = (it: typeof first) =>
      (it.rooms[roomId]?.required_state ?? []).map((event) => `${event.type} ${event.state_key}`);
    expect(told(first).toSorted()).toEqual([`m.room.member ${bob.id}`, "m.room.topic "]);
    await say(bob, roomId, "again");
    const second = await sync(alice, { lists }, after(first));
    expect(told(second)).toEqual([]);
    await act(alice, "PUT", `rooms/${roomId}/state/m.room.topic/`, { topic: "Other" });
    await act(alice, "PUT", `rooms/${roomId}/state/m.room.name/`, { name: "" });
    const third = await sync(alice, { lists }, after(second));
    expect(told(third).toSorted()).toEqual([`m.room.member ${alice.id}`, "m.room.topic "]);
    expect(third.rooms[roomId]).toMatchObject({ name: null, heroes: [{ user_id: bob.id }] });
  });
});
