import { describe, expect, test } from "vitest";
import type { Body } from "../answers.ts";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");

/** Found by no other test. */
const word = `w${Date.now().toString(36)}`;
let made = 0;

async function listed(further: object = {}): Promise<{ roomId: string; name: string }> {
  const name = `${word} ${(made += 1)}`;
  const room = { preset: "public_chat", visibility: "public", name, ...further };
  return { roomId: await alice.createRoom(room), name };
}

async function search(filter: object, further: object = {}) {
  const answer = await bob.call("POST", "/v3/publicRooms", { filter, ...further });
  expect(answer.status).toBe(200);
  return answer.body;
}

const idsOf = ({ chunk }: Pick<Body, "chunk">) => chunk.map((it) => it.room_id);

/** @spec client-server-api#post_matrixclientv3publicrooms */
describe("queryPublicRooms", () => {
  test("finds rooms by their names, topics and aliases, and says what they are", async () => {
    const { roomId, name } = await listed({
      topic: "About Everything",
      room_alias_name: `${word}-alias`,
      initial_state: [
        { type: "m.room.history_visibility", content: { history_visibility: "world_readable" } },
        { type: "m.room.guest_access", content: { guest_access: "can_join" } },
        { type: "m.room.avatar", content: { url: "mxc://hs.test/avatar" } },
      ],
    });
    await bob.call("POST", `/v3/join/${roomId}`, {});
    const entry = {
      room_id: roomId,
      name,
      topic: "About Everything",
      canonical_alias: `#${word}-alias:hs.test`,
      avatar_url: "mxc://hs.test/avatar",
      num_joined_members: 2,
      world_readable: true,
      guest_can_join: true,
      join_rule: "public",
    };
    for (const generic_search_term of [name.toUpperCase(), `${word}-ALIAS`]) {
      const found = await search({ generic_search_term });
      expect(found.chunk).toEqual([entry]);
      expect(found.total_room_count_estimate).toBe(1);
    }
    const byTopic = await search({ generic_search_term: "about everything" });
    expect(idsOf(byTopic)).toContain(roomId);
    expect(idsOf(await search({ generic_search_term: `${word} nothing` }))).toEqual([]);
  });

  test("finds spaces, or rooms that are none", async () => {
    const space = await listed({ creation_content: { type: "m.space" } });
    const room = await listed();
    const typed = async (room_types: unknown) =>
      idsOf(await search({ generic_search_term: word, room_types }));
    const [spaces, others, both] = [
      await typed(["m.space"]),
      await typed([null]),
      await typed([null, "m.space"]),
    ];
    expect([spaces.includes(space.roomId), spaces.includes(room.roomId)]).toEqual([true, false]);
    expect([others.includes(space.roomId), others.includes(room.roomId)]).toEqual([false, true]);
    expect(both).toEqual(expect.arrayContaining([space.roomId, room.roomId]));
  });

  test("goes through them page by page, forwards and back", async () => {
    const own = `p${word}`;
    const rooms: string[] = [];
    for (let index = 0; index < 5; index++) {
      rooms.push((await listed({ name: `${own} ${index}` })).roomId);
    }
    await bob.call("POST", `/v3/join/${rooms[3]}`, {});
    const filter = { generic_search_term: own };
    const all = idsOf(await search(filter));
    expect(all[0]).toBe(rooms[3]);
    expect(all.toSorted()).toEqual(rooms.toSorted());
    const first = await search(filter, { limit: 2 });
    expect(first.prev_batch).toBeUndefined();
    const second = await search(filter, { limit: 2, since: first.next_batch });
    const third = await search(filter, { limit: 2, since: second.next_batch });
    expect([first, second, third].flatMap(idsOf)).toEqual(all);
    expect(third.next_batch).toBeUndefined();
    const back = await search(filter, { limit: 2, since: third.prev_batch });
    expect(idsOf(back)).toEqual(idsOf(second));
    const body = { since: "nonsense" };
    expect(await bob.call("POST", "/v3/publicRooms", body)).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });

  test("finds none of a network to which there is no bridge", async () => {
    await listed();
    const found = await search({}, { third_party_instance_id: "irc" });
    expect(found.chunk).toEqual([]);
  });
});

/** @spec client-server-api#get_matrixclientv3publicrooms */
describe("getPublicRooms", () => {
  test("is for anybody, and shows only what is public", async () => {
    const { roomId } = await listed();
    const hidden = await alice.createRoom({ preset: "public_chat" });
    const { status, body } = await hs.request("GET", "/v3/publicRooms?limit=500");
    expect(status).toBe(200);
    expect(idsOf(body)).toContain(roomId);
    expect(idsOf(body)).not.toContain(hidden);
  });

  test("is of another server only if that has a name", async () => {
    for (const server of ["a b", "%", "x/y"]) {
      const path = `/v3/publicRooms?server=${encodeURIComponent(server)}`;
      expect(await hs.request("GET", path)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    }
    expect(await hs.request("GET", "/v3/publicRooms?limit=-1")).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });
});

/** @spec client-server-api#put_matrixclientv3directorylistroomroomid */
describe("setRoomVisibilityOnDirectory", () => {
  const pathOf = (roomId: string) => `/v3/directory/list/room/${encodeURIComponent(roomId)}`;

  test("lists a room and takes it out, for who may name it", async () => {
    const { roomId, name } = await listed({ visibility: "private" });
    const find = async () => idsOf(await search({ generic_search_term: name }));
    expect(await find()).toEqual([]);
    await bob.call("POST", `/v3/join/${roomId}`, {});
    const body = { visibility: "public" };
    expect(await bob.call("PUT", pathOf(roomId), body)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    for (const set of [{}, { visibility: "public" }]) {
      expect(await alice.call("PUT", pathOf(roomId), set)).toMatchObject({ status: 200, body: {} });
      expect(await find()).toEqual([roomId]);
    }
    await alice.call("PUT", pathOf(roomId), { visibility: "private" });
    expect(await find()).toEqual([]);
    const wrong = await alice.call("PUT", pathOf(roomId), { visibility: "secret" });
    expect(wrong).toMatchObject(refusal(400, "M_BAD_JSON"));
    const nowhere = await alice.call("PUT", pathOf("!nowhere:hs.test"), body);
    expect(nowhere).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });

  test("is for administrators too", async () => {
    const { roomId } = await listed();
    const admin = await hs.registerAdministrator("admin");
    const body = { visibility: "private" };
    expect((await admin.call("PUT", pathOf(roomId), body)).status).toBe(200);
  });

  /** @spec client-server-api#get_matrixclientv3directorylistroomroomid */
  test("is seen by anybody, by getRoomVisibilityOnDirectory", async () => {
    const operation = "getRoomVisibilityOnDirectory";
    const { roomId } = await listed();
    const hidden = await alice.createRoom();
    const visibilityOf = async (id: string) => (await hs.request("GET", pathOf(id))).body;
    expect(await visibilityOf(roomId), operation).toEqual({ visibility: "public" });
    expect(await visibilityOf(hidden)).toEqual({ visibility: "private" });
    expect(await hs.request("GET", pathOf("!nowhere:hs.test"))).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
  });
});
