import { describe, expect, test } from "vitest";
import type { ClientEvent } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");

const upgrade = async (user: TestUser, roomId: string, body: object) =>
  await user.call("POST", `/v3/rooms/${encodeURIComponent(roomId)}/upgrade`, body);
const state = async (roomId: string, type: string) =>
  (await alice.call("GET", `/v3/rooms/${encodeURIComponent(roomId)}/state/${type}`)).body;
const join = async (user: TestUser, roomId: string) =>
  await user.call("POST", `/v3/join/${encodeURIComponent(roomId)}`, {});

const absent = { errcode: "M_NOT_FOUND" };

const VERSIONS = ["1", "2", "3", "5", "6", "7", "8", "9", "10", "11", "12"];

/** @spec client-server-api#post_matrixclientv3roomsroomidupgrade */
describe("upgradeRoom", () => {
  test.each(
    VERSIONS.map((from, index) => [from, VERSIONS[(index + 5) % VERSIONS.length]] as const),
  )("makes of a room of version %s one of version %s", async (room_version, new_version) => {
    const initial_state = [
      { type: "m.room.server_acl", content: { allow: ["*"], deny: ["evil.test"] } },
      { type: "m.room.encryption", content: { algorithm: "m.megolm.v1.aes-sha2" } },
      { type: "m.room.history_visibility", content: { history_visibility: "joined" } },
      { type: "org.example.other", content: { a: 1 } },
    ];
    const roomId = await alice.createRoom({
      preset: "public_chat",
      name: "The name",
      topic: "The topic",
      room_version,
      initial_state,
      creation_content: { type: "org.example.type", "m.federate": false },
      power_level_content_override: {
        users: { ...(room_version !== "12" && { [alice.userId]: 100 }), [bob.userId]: 50 },
      },
    });
    await join(bob, roomId);
    const { status, body } = await upgrade(alice, roomId, { new_version });
    expect(status).toBe(200);
    const next = body.replacement_room;
    expect(await state(roomId, "m.room.tombstone")).toMatchObject({ replacement_room: next });
    expect(await state(next, "m.room.create")).toMatchObject({
      room_version: new_version,
      type: "org.example.type",
      "m.federate": false,
      predecessor: { room_id: roomId },
    });
    const copied = [
      "m.room.server_acl",
      "m.room.encryption",
      "m.room.history_visibility",
      "m.room.name",
      "m.room.topic",
      "m.room.join_rules",
    ];
    for (const type of copied) expect(await state(next, type)).toEqual(await state(roomId, type));
    expect(await state(next, "m.room.guest_access")).toEqual({ guest_access: "forbidden" });
    expect(await state(next, "org.example.other")).toMatchObject(absent);
    const levels = await state(next, "m.room.power_levels");
    expect(levels.users[bob.userId]).toBe(50);
    const isPrivileged = room_version === "12" || new_version === "12";
    // Whoever upgrades has to be able to do so again.
    expect(levels.users[alice.userId]).toBe(
      new_version === "12" ? undefined : isPrivileged ? 150 : 100,
    );
    expect(levels.events["m.room.tombstone"]).toBe(isPrivileged ? 150 : 100);
    const old = await state(roomId, "m.room.power_levels");
    expect(old).toMatchObject({ events_default: 50, invite: 50 });
    const members = (await alice.call("GET", `/v3/rooms/${next}/members`)).body.chunk;
    expect(members.map((it) => it.state_key)).toEqual([alice.userId]);
    expect((await join(bob, next)).status).toBe(200);
    expect((await alice.sendText(next, "goes on")).startsWith("$")).toBe(true);
  });

  test("keeps those out who were banned, and takes no other memberships along", async () => {
    const its = { preset: "public_chat", room_version: "10", invite: [bob.userId] };
    const roomId = await alice.createRoom(its);
    const ban = { user_id: mallory.userId, reason: "spam" };
    await alice.call("POST", `/v3/rooms/${encodeURIComponent(roomId)}/ban`, ban);
    const { body } = await upgrade(alice, roomId, { new_version: "11" });
    const next = body.replacement_room;
    expect(await state(next, `m.room.member/${mallory.userId}`)).toEqual({
      membership: "ban",
      reason: "spam",
    });
    expect(await state(next, `m.room.member/${bob.userId}`)).toMatchObject(absent);
    expect(await join(mallory, next)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    // Whom the new room is also to belong to, nobody there can ban.
    const again = { new_version: "12", additional_creators: [mallory.userId] };
    const third = (await upgrade(alice, next, again)).body.replacement_room;
    expect((await join(mallory, third)).status).toBe(200);
  });

  test("makes the creators that it is told to, and no others", async () => {
    const roomId = await alice.createRoom({
      room_version: "11",
      power_level_content_override: { users: { [alice.userId]: 100, [bob.userId]: 100 } },
    });
    const additional_creators = [bob.userId];
    const { body } = await upgrade(alice, roomId, { new_version: "12", additional_creators });
    const next = body.replacement_room;
    expect(await state(next, "m.room.create")).toMatchObject({ additional_creators });
    expect((await state(next, "m.room.create")).predecessor).toEqual({ room_id: roomId });
    expect((await state(next, "m.room.power_levels")).users).toEqual({});
    const again = await upgrade(alice, next, { new_version: "12" });
    expect(await state(again.body.replacement_room, "m.room.create")).not.toHaveProperty(
      "additional_creators",
    );
    const older = await upgrade(alice, again.body.replacement_room, {
      new_version: "11",
      additional_creators,
    });
    const create = await state(older.body.replacement_room, "m.room.create");
    expect(create).not.toHaveProperty("additional_creators");
    // By what the room before ends.
    const room_id = again.body.replacement_room;
    const path = `/v3/rooms/${encodeURIComponent(room_id)}/state`;
    const ended = await alice.call<readonly ClientEvent[]>("GET", path);
    const tombstone = ended.body.find((it) => it.type === "m.room.tombstone");
    expect(create.predecessor).toEqual({ room_id, event_id: tombstone?.event_id });
    expect((await state(older.body.replacement_room, "m.room.power_levels")).users).toEqual({
      [alice.userId]: 150,
    });
    const wrong = { new_version: "12", additional_creators: ["nobody"] };
    const other = await alice.createRoom();
    expect(await upgrade(alice, other, wrong)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });

  test("takes aliases and the place in the directory along", async () => {
    const name = `up-${alice.localpart}`;
    const roomId = await alice.createRoom({
      preset: "public_chat",
      visibility: "public",
      room_alias_name: name,
    });
    const { body } = await upgrade(alice, roomId, { new_version: "11" });
    const next = body.replacement_room;
    const alias = `#${name}:hs.test`;
    const found = await alice.call("GET", `/v3/directory/room/${encodeURIComponent(alias)}`);
    expect(found.body.room_id).toBe(next);
    expect(await state(next, "m.room.canonical_alias")).toEqual({ alias });
    expect(await state(roomId, "m.room.canonical_alias")).toEqual({});
    const listed = async (id: string) =>
      (await alice.call("GET", `/v3/directory/list/room/${encodeURIComponent(id)}`)).body
        .visibility;
    expect([await listed(roomId), await listed(next)]).toEqual(["private", "public"]);
  });

  test("takes them along, too, where another server has upgraded the room, once somebody follows", async () => {
    const name = `far-${alice.localpart}`;
    const its = { preset: "public_chat", visibility: "public", room_alias_name: name };
    const roomId = await alice.createRoom(its);
    const succeeding = { ...its, room_alias_name: undefined, visibility: "private" };
    const creation_content = { predecessor: { room_id: roomId } };
    const next = await alice.createRoom({ ...succeeding, creation_content });
    const standsFor = async () =>
      (await alice.call("GET", `/v3/directory/room/${encodeURIComponent(`#${name}:hs.test`)}`)).body
        .room_id;
    // As long as only the new room says so, it may be anybody's.
    await join(bob, next);
    expect(await standsFor()).toBe(roomId);
    const tombstone = `/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.tombstone`;
    await alice.call("PUT", tombstone, { body: "moved", replacement_room: next });
    await join(mallory, next);
    expect(await standsFor()).toBe(next);
    const listed = async (id: string) =>
      (await alice.call("GET", `/v3/directory/list/room/${encodeURIComponent(id)}`)).body
        .visibility;
    expect([await listed(roomId), await listed(next)]).toEqual(["private", "public"]);
  });

  test("lets those who follow find their tags, push rules and direct chats", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await join(bob, roomId);
    const rule = async (user: TestUser, id: string) =>
      (await user.call("GET", `/v3/pushrules/global/room/${encodeURIComponent(id)}`)).body;
    for (const user of [alice, bob]) {
      const own = `/v3/user/${user.userId}`;
      await user.call("PUT", `${own}/rooms/${roomId}/tags/u.work`, { order: 0.3 });
      await user.call("PUT", `${own}/account_data/m.direct`, { "@x:hs.test": [roomId] });
      const path = `/v3/pushrules/global/room/${encodeURIComponent(roomId)}`;
      expect((await user.call("PUT", path, { actions: [] })).status).toBe(200);
    }
    const { body } = await upgrade(alice, roomId, { new_version: "12" });
    const next = body.replacement_room;
    await join(bob, next);
    await join(mallory, next);
    for (const user of [alice, bob]) {
      const own = `/v3/user/${user.userId}`;
      expect((await user.call("GET", `${own}/rooms/${next}/tags`)).body.tags).toEqual({
        "u.work": { order: 0.3 },
      });
      expect((await user.call("GET", `${own}/account_data/m.direct`)).body).toEqual({
        "@x:hs.test": [roomId, next],
      });
      expect(await rule(user, next)).toMatchObject({ rule_id: next, actions: [] });
      expect(await rule(user, roomId)).toMatchObject({ rule_id: roomId });
    }
    const tags = `/v3/user/${mallory.userId}/rooms/${next}/tags`;
    expect((await mallory.call("GET", tags)).body.tags).toEqual({});
  });

  test("lets no room have what is set for another by saying that it takes its place", async () => {
    const roomId = await alice.createRoom();
    const own = `/v3/user/${alice.userId}`;
    await alice.call("PUT", `${own}/rooms/${roomId}/tags/m.favourite`, {});
    await alice.call("PUT", `${own}/account_data/m.direct`, { [bob.userId]: [roomId] });
    const creation_content = { predecessor: { room_id: roomId } };
    const next = await mallory.createRoom({ invite: [alice.userId], creation_content });
    await join(alice, next);
    expect((await alice.call("GET", `${own}/rooms/${next}/tags`)).body.tags).toEqual({});
    expect((await alice.call("GET", `${own}/account_data/m.direct`)).body).toEqual({
      [bob.userId]: [roomId],
    });
  });

  test("is for those who may end the room, and leaves no trace of what was refused", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await join(bob, roomId);
    // In no order: processes may have them in another each.
    const rooms = async () =>
      new Set((await bob.call("GET", "/v3/joined_rooms")).body.joined_rooms as string[]);
    const before = await rooms();
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await upgrade(bob, roomId, { new_version: "11" })).toMatchObject(forbidden);
    expect(await upgrade(mallory, roomId, { new_version: "11" })).toMatchObject(forbidden);
    expect(await upgrade(alice, roomId, { new_version: "99" })).toMatchObject(
      refusal(400, "M_UNSUPPORTED_ROOM_VERSION"),
    );
    expect(await upgrade(alice, roomId, {})).toMatchObject(refusal(400, "M_BAD_JSON"));
    expect(await rooms()).toEqual(before);
    expect(await state(roomId, "m.room.tombstone")).toMatchObject(absent);
  });
});
