import { beforeEach, describe, expect, test } from "vitest";
import { Slid, Stage, type User } from "./testing.ts";

const stage = Stage.set();
const room = async (...it: Parameters<Stage["room"]>) => await stage.room(...it);
const say = async (...it: Parameters<Stage["say"]>) => await stage.say(...it);
let alice: User;
let bob: User;
beforeEach(() => ({ alice, bob } = stage));

describe("the form that was accepted", () => {
  const v4 = async (who: User, body: object) => {
    const answer = await stage.ask("POST", "/_matrix/client/v4/sync", { token: who.token, body });
    expect(answer.body).toMatchObject({ pos: expect.any(String) });
    return Slid.parse(answer.body);
  };

  test("names all otherwise, and says what the user is in a room and which lists it is in", async () => {
    const roomId = await room(alice, { name: "Room" });
    const invited = await room(bob, { invite: [alice.id] });
    const required_state = {
      include: [{}],
      exclude: [{ type: "m.room.create" }],
      lazy_members: true,
    };
    const all = { range: [0, 9], timeline_limit: 1, required_state };
    const named = { timeline_limit: 1, required_state: {}, filters: { is_invited: true } };
    const first = await v4(alice, { lists: { all, named }, conn_id: "main" });
    expect(first.lists).toEqual({ all: { count: 2 }, named: { count: 1 } });
    expect(first.rooms[roomId]).toMatchObject({
      membership: "join",
      lists: ["all"],
      initial: true,
    });
    expect(first.rooms[roomId]).not.toHaveProperty("notification_count");
    const types = first.rooms[roomId]?.required_state?.map((it) => it.type);
    expect(types).toContain("m.room.join_rules");
    expect(types).not.toContain("m.room.create");
    expect(first.rooms[invited]).toMatchObject({
      membership: "invite",
      lists: ["all", "named"],
      stripped_state: expect.any(Array),
    });
    const next = { lists: { all }, conn_id: "main", pos: first.pos, timeout: 10_000 };
    const waiting = v4(alice, next);
    await say(alice, roomId, "hello");
    expect((await waiting).rooms[roomId]).toMatchObject({ num_live: 1 });
    const more = { ...next, timeout: 0, lists: { all: { ...all, timeline_limit: 2 } } };
    expect((await v4(alice, more)).rooms[roomId]).toMatchObject({ expanded_timeline: true });
    const whole = { ...next, timeout: 0, lists: { all: { ...all, timeline_limit: 50 } } };
    expect((await v4(alice, whole)).rooms[roomId]).toMatchObject({
      expanded_timeline: true,
      limited: false,
    });
  });

  test("gives tokens by which older messages are found", async () => {
    const roomId = await room(alice);
    await say(alice, roomId, "hello");
    const { pos } = await v4(alice, {});
    const page = await stage.ask(
      "GET",
      `rooms/${roomId}/messages?dir=b&limit=1&from=${pos}`,
      alice,
    );
    expect(page.body.chunk[0]?.content.body).toBe("hello");
  });

  test("refuses what is too much, and what is nonsense", async () => {
    const list = { timeline_limit: 1, required_state: {} };
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`${index}`, list]));
    const refused = async (body: object, errcode = "M_BAD_JSON") => {
      const answer = await stage.ask("POST", "/_matrix/client/v4/sync", {
        token: alice.token,
        body,
      });
      expect(answer).toMatchObject({ status: 400, body: { errcode } });
    };
    await refused({ lists: many });
    await refused({ room_subscriptions: many });
    await refused({ lists: { all: { ...list, range: [3, 2] } } });
    await refused({ lists: { all: { ...list, range: [-1, 2] } } });
    await refused({ lists: { all: { required_state: {} } } });
    await refused({ room_subscriptions: { nonsense: list } }, "M_INVALID_PARAM");
    await refused({ set_presence: "nonsense" }, "M_INVALID_PARAM");
    const extensions = { to_device: { enabled: true, since: "nonsense" } };
    await refused({ extensions }, "M_INVALID_PARAM");
  });
});
