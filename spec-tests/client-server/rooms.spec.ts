import { describe, expect, test } from "vitest";
import type { ClientEvent } from "../answers.ts";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");
const roomId = await alice.createRoom({ preset: "public_chat", name: "A room" });
await bob.call("POST", `/v3/join/${roomId}`, {});
const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
const forbidden = refusal(403, "M_FORBIDDEN");
type State = readonly ClientEvent[];
const types = (events: State) => events.map((it) => it.type);

/** @spec client-server-api#put_matrixclientv3roomsroomidstateeventtypestatekey */
describe("setRoomStateWithKey", () => {
  const set = async (user: typeof alice, path: string, content: object) =>
    await user.call("PUT", `${room}/state/${path}`, content);

  test("sets state, with a key and without", async () => {
    for (const [path, read] of [
      ["org.example.a/key", "org.example.a/key"],
      ["org.example.b/", "org.example.b"],
      ["org.example.c", "org.example.c/"],
      ["org.example.d/with%2Fslash", "org.example.d/with%2Fslash"],
    ] as const) {
      const sent = await set(alice, path, { at: path });
      expect(sent).toMatchObject({ status: 200, body: { event_id: expect.stringMatching(/^\$/) } });
      expect((await alice.call("GET", `${room}/state/${read}`)).body).toEqual({ at: path });
    }
  });

  test("sends nothing again that is so already", async () => {
    const first = await set(alice, "org.example.same", { n: 1 });
    const again = await set(alice, "org.example.same", { n: 1 });
    const other = await set(alice, "org.example.same", { n: 2 });
    expect(again.body.event_id).toBe(first.body.event_id);
    expect(other.body.event_id).not.toBe(first.body.event_id);
  });

  test("forbids to say again what one may not say any more", async () => {
    const levels = `/v3/rooms/${roomId}/state/m.room.power_levels/`;
    const content = (await alice.call("GET", levels)).body;
    const users = { ...content.users, [bob.userId]: 50 };
    await alice.call("PUT", levels, { ...content, users });
    const topic = { topic: "Bob's" };
    expect((await set(bob, "m.room.topic", topic)).status).toBe(200);
    await alice.call("PUT", levels, content);
    expect(await set(bob, "m.room.topic", topic)).toMatchObject(forbidden);
  });

  test("forbids what is above one's power, or is another's", async () => {
    expect(await set(bob, "m.room.name", { name: "Mine" })).toMatchObject(forbidden);
    expect(await set(mallory, "m.room.name", { name: "Mine" })).toMatchObject(forbidden);
    const others = `m.room.member/${alice.userId}`;
    expect(await set(bob, others, { membership: "leave" })).toMatchObject(forbidden);
    const ofAlice = await set(bob, `org.example.own/${alice.userId}`, {});
    expect(ofAlice).toMatchObject(forbidden);
  });

  test("refuses what nobody may send, whatever their power", async () => {
    const impossible: [string, object][] = [
      ["m.room.create", { room_version: "1" }],
      ["m.room.power_levels", { users: { [alice.userId]: 100 } }],
      ["m.room.power_levels", { users: { [bob.userId]: "50" } }],
      ["m.room.power_levels", { ban: "50" }],
    ];
    for (const [type, content] of impossible) {
      expect(await set(alice, type, content)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    }
    expect(await set(bob, "m.room.power_levels", { ban: "50" })).toMatchObject(forbidden);
  });

  test("refuses to have a room take its own place", async () => {
    const own = { body: "gone", replacement_room: roomId };
    const answers = [
      await set(alice, "m.room.tombstone", own),
      await alice.call("PUT", `${room}/send/m.room.tombstone/t`, own),
    ];
    for (const it of answers) expect(it).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const [old, next] = [await alice.createRoom(), await alice.createRoom()];
    const path = `/v3/rooms/${encodeURIComponent(old)}/state/m.room.tombstone`;
    const replaced = await alice.call("PUT", path, { ...own, replacement_room: next });
    expect(replaced.status).toBe(200);
  });

  test("refuses aliases that do not lead to the room", async () => {
    const wrong = await set(alice, "m.room.canonical_alias", { alias: "#nothing:hs.test" });
    expect(wrong).toMatchObject(refusal(400, "M_BAD_ALIAS"));
    const none = await set(alice, "m.room.canonical_alias", { alias: "nothing" });
    expect(none).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

/** @spec client-server-api#get_matrixclientv3roomsroomidstateeventtypestatekey */
describe("getRoomStateWithKey", () => {
  test("answers with the content, or with the whole event", async () => {
    const path = `${room}/state/m.room.name/`;
    expect((await bob.call("GET", path)).body).toEqual({ name: "A room" });
    expect((await bob.call("GET", `${path}?format=event`)).body).toMatchObject({
      type: "m.room.name",
      state_key: "",
      sender: alice.userId,
      content: { name: "A room" },
    });
  });

  test("says that there is no such state, and to others nothing", async () => {
    expect(await bob.call("GET", `${room}/state/org.example.none`)).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
    expect(await mallory.call("GET", `${room}/state/m.room.name`)).toMatchObject(forbidden);
  });
});

/** @spec client-server-api#get_matrixclientv3roomsroomidstate */
describe("getRoomState", () => {
  test("answers with all state, and with that of their time to those who have left", async () => {
    const { status, body } = await bob.call<State>("GET", `${room}/state`);
    expect(status).toBe(200);
    expect(types(body)).toEqual(
      expect.arrayContaining(["m.room.create", "m.room.member", "m.room.power_levels"]),
    );
    const dave = await hs.registerUser("dave");
    await dave.call("POST", `/v3/join/${roomId}`, {});
    await dave.call("POST", `${room}/leave`, {});
    await alice.call("PUT", `${room}/state/org.example.later`, {});
    const then = await dave.call<State>("GET", `${room}/state`);
    expect(then.status).toBe(200);
    expect(types(then.body)).not.toContain("org.example.later");
    expect(await mallory.call("GET", `${room}/state`)).toMatchObject(forbidden);
  });

  test("stays what it was to one who has been invited again, or banned, since they left", async () => {
    const own = await alice.createRoom({ invite: [bob.userId] });
    const state = `/v3/rooms/${own}/state`;
    expect(await bob.call("GET", state)).toMatchObject(forbidden);
    await bob.call("POST", `/v3/join/${own}`, {});
    await bob.call("POST", `/v3/rooms/${own}/leave`, {});
    await alice.call("PUT", `${state}/org.example.later`, {});
    for (const verb of ["invite", "ban"]) {
      await alice.call("POST", `/v3/rooms/${own}/${verb}`, { user_id: bob.userId });
      const then = await bob.call<State>("GET", state);
      expect(types(then.body)).toContain("m.room.create");
      expect(types(then.body)).not.toContain("org.example.later");
    }
  });

  test("is that of now to everybody, where everybody may read the room", async () => {
    const content = { history_visibility: "world_readable" };
    const initial_state = [{ type: "m.room.history_visibility", content }];
    const open = await alice.createRoom({ preset: "public_chat", initial_state });
    await bob.call("POST", `/v3/join/${open}`, {});
    await bob.call("POST", `/v3/rooms/${open}/leave`, {});
    await alice.call("PUT", `/v3/rooms/${open}/state/org.example.later`, {});
    for (const reader of [bob, mallory]) {
      const now = await reader.call<State>("GET", `/v3/rooms/${open}/state`);
      expect(types(now.body)).toContain("org.example.later");
      const { body } = await reader.call("GET", `/v3/rooms/${open}/messages?dir=b&limit=1`);
      expect(types(body.chunk)).toEqual(["org.example.later"]);
    }
  });
});

/** @spec client-server-api#get_matrixclientv3roomsroomidmembers */
describe("getMembersByRoom", () => {
  const members = async (query = "") =>
    (await alice.call("GET", `${room}/members${query}`)).body.chunk.map((it) => it.state_key);

  test("lists members by what they are, and as they were", async () => {
    const at = (await alice.sync()).next_batch;
    const eve = await hs.registerUser("eve");
    await alice.call("POST", `${room}/invite`, { user_id: eve.userId });
    expect(await members()).toEqual(expect.arrayContaining([alice.userId, bob.userId, eve.userId]));
    expect(await members("?membership=invite")).toEqual([eve.userId]);
    expect(await members("?membership=invite&not_membership=")).toEqual([eve.userId]);
    expect(await members("?not_membership=invite")).not.toContain(eve.userId);
    expect(await members("?membership=&not_membership=invite")).not.toContain(eve.userId);
    expect(await members("?membership=&not_membership=")).toEqual(await members());
    expect(await members(`?at=${at}`)).not.toContain(eve.userId);
    // Together they ask for what either of them does.
    expect(await members("?membership=invite&not_membership=invite")).toEqual(await members());
    const here = await members("?membership=invite&not_membership=join");
    expect(here).toContain(eve.userId);
    expect(here).not.toContain(alice.userId);
    expect(await mallory.call("GET", `${room}/members`)).toMatchObject(forbidden);
    const bad = await alice.call("GET", `${room}/members?at=bad`);
    expect(bad).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });

  test("does not list them as they were before one was to see the room", async () => {
    const content = { history_visibility: "joined" };
    const initial_state = [{ type: "m.room.history_visibility", content }];
    const closed = await alice.createRoom({ preset: "public_chat", initial_state });
    await alice.sendText(closed, "among ourselves");
    const before = (await alice.sync()).next_batch;
    await bob.call("POST", `/v3/join/${closed}`, {});
    const after = (await bob.sync()).next_batch;
    const at = async (user: typeof alice, token: string) =>
      await user.call("GET", `/v3/rooms/${closed}/members?at=${token}`);
    expect(await at(bob, before)).toMatchObject(forbidden);
    expect((await at(bob, after)).status).toBe(200);
    expect((await at(alice, before)).status).toBe(200);
    const { body } = await bob.call("GET", `/v3/rooms/${closed}/messages?dir=b`);
    expect((await at(bob, body.start)).status).toBe(200);
  });

  test("lists them as they were also to one who has left since", async () => {
    const frank = await hs.registerUser("frank");
    await frank.call("POST", `/v3/join/${roomId}`, {});
    const at = (await frank.sync()).next_batch;
    const grace = await hs.registerUser("grace");
    await grace.call("POST", `/v3/join/${roomId}`, {});
    await frank.call("POST", `${room}/leave`, {});
    const { body } = await frank.call("GET", `${room}/members?at=${at}`);
    const then = body.chunk.map((it) => it.state_key);
    expect(then).toContain(frank.userId);
    expect(then).not.toContain(grace.userId);
  });
});

/** @spec client-server-api#get_matrixclientv3roomsroomidjoined_members */
describe("getJoinedMembersByRoom", () => {
  test("names who is joined, and what they are called, to those who are", async () => {
    await bob.call("PUT", `/v3/profile/${bob.userId}/displayname`, { displayname: "Bob" });
    const path = `${room}/joined_members`;
    await expect
      .poll(async () => (await alice.call("GET", path)).body.joined[bob.userId])
      .toEqual({ display_name: "Bob" });
    expect(await mallory.call("GET", path)).toMatchObject(forbidden);
  });

  test("names them to everybody in a room that the world may read", async () => {
    const visible = {
      type: "m.room.history_visibility",
      content: { history_visibility: "world_readable" },
    };
    const { room_id } = (await alice.call("POST", "/v3/createRoom", { initial_state: [visible] }))
      .body;
    const path = `/v3/rooms/${encodeURIComponent(room_id)}/joined_members`;
    const { status, body } = await mallory.call("GET", path);
    expect(status).toBe(200);
    expect(Object.keys(body.joined)).toEqual([alice.userId]);
    await alice.call(
      "PUT",
      `/v3/rooms/${encodeURIComponent(room_id)}/state/m.room.history_visibility`,
      {
        history_visibility: "shared",
      },
    );
    expect(await mallory.call("GET", path)).toMatchObject(forbidden);
  });
});
