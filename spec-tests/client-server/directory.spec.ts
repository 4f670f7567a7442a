import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const roomId = await alice.createRoom({ preset: "public_chat" });
await bob.call("POST", `/v3/join/${roomId}`, {});

let made = 0;
const newAlias = () => `#${alice.localpart}-${(made += 1)}:hs.test`;
const pathOf = (alias: string) => `/v3/directory/room/${encodeURIComponent(alias)}`;

/** @spec client-server-api#put_matrixclientv3directoryroomroomalias */
describe("setRoomAlias", () => {
  test("lets an alias stand for a room, and no other", async () => {
    const alias = newAlias();
    const body = { room_id: roomId };
    expect(await bob.call("PUT", pathOf(alias), body)).toMatchObject({ status: 200, body: {} });
    expect(await alice.call("PUT", pathOf(alias), body)).toMatchObject(refusal(409, "M_UNKNOWN"));
  });

  test("is for members of the room, and for aliases of the server", async () => {
    const mallory = await hs.registerUser("mallory");
    const body = { room_id: roomId };
    expect(await mallory.call("PUT", pathOf(newAlias()), body)).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
    for (const alias of ["#a:elsewhere.test", "a", "#:hs.test"]) {
      expect(await alice.call("PUT", pathOf(alias), body)).toMatchObject(
        refusal(400, "M_INVALID_PARAM"),
      );
    }
  });
});

/** @spec client-server-api#get_matrixclientv3directoryroomroomalias */
describe("getRoomIdByAlias", () => {
  test("says which room an alias stands for, to anybody", async () => {
    const alias = newAlias();
    expect(await hs.request("GET", pathOf(alias))).toMatchObject(refusal(404, "M_NOT_FOUND"));
    await alice.call("PUT", pathOf(alias), { room_id: roomId });
    expect((await hs.request("GET", pathOf(alias))).body).toEqual({
      room_id: roomId,
      servers: ["hs.test"],
    });
  });
});

/** @spec client-server-api#delete_matrixclientv3directoryroomroomalias */
describe("deleteRoomAlias", () => {
  test("is for who made it and who may name the room", async () => {
    const carol = await hs.registerUser("carol");
    const [one, two] = [newAlias(), newAlias()];
    for (const alias of [one, two]) await bob.call("PUT", pathOf(alias), { room_id: roomId });
    expect(await carol.call("DELETE", pathOf(one))).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await bob.call("DELETE", pathOf(one))).toMatchObject({ status: 200, body: {} });
    expect((await alice.call("DELETE", pathOf(two))).status).toBe(200);
    expect(await bob.call("DELETE", pathOf(one))).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

test("whoever has been put out of a room says no longer by what it is found, whatever power they had", async () => {
  const carol = await hs.registerUser("carol");
  const power_level_content_override = { users: { [alice.userId]: 100, [carol.userId]: 99 } };
  const own = await alice.createRoom({
    preset: "public_chat",
    room_version: "11",
    power_level_content_override,
  });
  const alias = newAlias();
  await alice.call("PUT", pathOf(alias), { room_id: own });
  await carol.call("POST", `/v3/join/${own}`, {});
  await alice.call("POST", `/v3/rooms/${own}/ban`, { user_id: carol.userId });
  expect(await carol.call("DELETE", pathOf(alias))).toMatchObject(refusal(403, "M_FORBIDDEN"));
});

/** @spec client-server-api#get_matrixclientv3roomsroomidaliases */
describe("getLocalAliases", () => {
  test("lists the aliases of a room to its members", async () => {
    const alias = newAlias();
    await alice.call("PUT", pathOf(alias), { room_id: roomId });
    const path = `/v3/rooms/${roomId}/aliases`;
    expect((await bob.call("GET", path)).body.aliases).toContain(alias);
    const mallory = await hs.registerUser("mallory");
    expect(await mallory.call("GET", path)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    const content = { history_visibility: "world_readable" };
    await alice.call("PUT", `/v3/rooms/${roomId}/state/m.room.history_visibility/`, content);
    expect((await mallory.call("GET", path)).body.aliases).toContain(alias);
  });
});
