import { beforeEach, describe, expect, test } from "vitest";
import { present } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const carol = await hs.registerUser("carol");
const forbidden = refusal(403, "M_FORBIDDEN");

let roomId: string;
beforeEach(async () => {
  roomId = await alice.createRoom({ preset: "private_chat" });
});

const act = async (user: TestUser, verb: string, body: object = {}) =>
  await user.call("POST", `/v3/rooms/${roomId}/${verb}`, body);
const memberOf = async ({ userId }: TestUser) =>
  (await alice.call("GET", `/v3/rooms/${roomId}/state/m.room.member/${userId}`)).body;
const open = async (joinRule = "public") =>
  await alice.call("PUT", `/v3/rooms/${roomId}/state/m.room.join_rules/`, { join_rule: joinRule });

/** @spec client-server-api#post_matrixclientv3roomsroomidinvite */
describe("inviteUser", () => {
  test("tells the user, with why, and only once", async () => {
    const body = { user_id: bob.userId, reason: "come in" };
    expect(await act(alice, "invite", body)).toMatchObject({ status: 200, body: {} });
    expect((await act(alice, "invite", body)).status).toBe(200);
    expect(await memberOf(bob)).toMatchObject({ membership: "invite", reason: "come in" });
    await bob.syncUntil((it) => roomId in (it.rooms?.invite ?? {}));
  });

  test("is for members, of those who are not in the room nor banned from it", async () => {
    expect(await act(bob, "invite", { user_id: carol.userId })).toMatchObject(forbidden);
    expect(await act(alice, "invite", { user_id: alice.userId })).toMatchObject(forbidden);
    await act(alice, "ban", { user_id: bob.userId });
    expect(await act(alice, "invite", { user_id: bob.userId })).toMatchObject(forbidden);
    const nobody = await act(alice, "invite", { user_id: "nobody" });
    expect(nobody).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect((await act(alice, "invite", {})).status).toBe(400);
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidjoin */
describe("joinRoomById", () => {
  test("lets in who is invited, and says why they came", async () => {
    expect(await act(bob, "join")).toMatchObject(forbidden);
    await act(alice, "invite", { user_id: bob.userId });
    const joined = await act(bob, "join", { reason: "glad to" });
    expect(joined).toMatchObject({ status: 200, body: { room_id: roomId } });
    expect(await memberOf(bob)).toMatchObject({ membership: "join", reason: "glad to" });
    expect((await act(bob, "join")).status).toBe(200);
  });

  test("lets members of another room into a restricted one", async () => {
    const other = await alice.createRoom({ preset: "public_chat" });
    const allow = [{ type: "m.room_membership", room_id: other }];
    const rules = { join_rule: "restricted", allow };
    await alice.call("PUT", `/v3/rooms/${roomId}/state/m.room.join_rules/`, rules);
    expect(await act(carol, "join")).toMatchObject(forbidden);
    await carol.call("POST", `/v3/join/${other}`, {});
    expect((await act(carol, "join")).status).toBe(200);
    expect(await memberOf(carol)).toMatchObject({
      join_authorised_via_users_server: alice.userId,
    });
  });

  test("takes no word of who let one in but the server's", async () => {
    await open();
    const body = { join_authorised_via_users_server: "@nobody:elsewhere.test", reason: "glad to" };
    expect((await act(bob, "join", body)).status).toBe(200);
    expect(await memberOf(bob)).toMatchObject({ membership: "join", reason: "glad to" });
    expect(await memberOf(bob)).not.toHaveProperty("join_authorised_via_users_server");
  });

  test("knows no room that is not there", async () => {
    const answer = await bob.call("POST", "/v3/rooms/!nowhere:hs.test/join", {});
    expect(answer).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

/** @spec client-server-api#post_matrixclientv3joinroomidoralias */
describe("joinRoom", () => {
  test("takes an ID or an alias", async () => {
    await open();
    const alias = `#${roomId.slice(1, 12).replaceAll(/\W/g, "")}:hs.test`;
    const where = encodeURIComponent(alias);
    await alice.call("PUT", `/v3/directory/room/${where}`, { room_id: roomId });
    for (const [user, path] of [
      [bob, where],
      [carol, encodeURIComponent(roomId)],
    ] as const) {
      const joined = await user.call("POST", `/v3/join/${path}?via=hs.test&server_name=`, {});
      expect(joined).toMatchObject({ status: 200, body: { room_id: roomId } });
    }
  });

  test("takes a body of null for none, as all that needs nothing in it does", async () => {
    const { token } = bob;
    const post = async (path: string) => {
      const answer = await hs.request("POST", `/v3${path}`, { token, raw: "null" });
      expect(answer.status, path).toBe(200);
    };
    await open("knock");
    await post(`/knock/${encodeURIComponent(roomId)}`);
    await open();
    await post(`/join/${encodeURIComponent(roomId)}`);
    expect(await memberOf(bob)).toMatchObject({ membership: "join" });
    await post(`/rooms/${encodeURIComponent(roomId)}/leave`);
    await post(`/rooms/${encodeURIComponent(roomId)}/join`);
    await post(`/rooms/${encodeURIComponent(roomId)}/leave`);
    expect(await memberOf(bob)).toMatchObject({ membership: "leave" });
    await post(`/rooms/${encodeURIComponent(roomId)}/forget`);
  });

  test("knows no alias that is not there, and nothing that is neither", async () => {
    const nothing = await bob.call("POST", "/v3/join/%23nothing:hs.test", {});
    expect(nothing).toMatchObject(refusal(404, "M_NOT_FOUND"));
    const neither = await bob.call("POST", "/v3/join/neither", {});
    expect(neither).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

/** @spec client-server-api#post_matrixclientv3knockroomidoralias */
describe("knockRoom", () => {
  test("asks to be let in where that is done, and tells of it", async () => {
    const knock = async (user: TestUser) =>
      await user.call("POST", `/v3/knock/${encodeURIComponent(roomId)}`, { reason: "please" });
    expect(await knock(bob)).toMatchObject(forbidden);
    await open("knock");
    expect(await knock(bob)).toMatchObject({ status: 200, body: { room_id: roomId } });
    expect(await memberOf(bob)).toMatchObject({ membership: "knock", reason: "please" });
    await bob.syncUntil((it) => roomId in (it.rooms?.knock ?? {}));
    expect(await knock(alice)).toMatchObject(forbidden);
  });

  /** MSC4319. */
  test("is told as the event that it is, as is the invitation that follows it", async () => {
    await open("knock");
    await bob.call("POST", `/v3/knock/${encodeURIComponent(roomId)}`, {});
    const { rooms } = await bob.syncUntil((it) => roomId in (it.rooms?.knock ?? {}));
    const knocked = present(rooms?.knock?.[roomId]);
    const own = {
      type: "m.room.member",
      state_key: bob.userId,
      sender: bob.userId,
      content: { membership: "knock" },
      event_id: expect.stringMatching(/^\$/),
      origin_server_ts: expect.any(Number),
    };
    expect(knocked.state.events).toMatchObject([own]);
    expect(knocked.knock_state.events).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ ...own, content: expect.objectContaining(own.content) }),
      ]),
    );
    await act(alice, "invite", { user_id: bob.userId });
    const after = await bob.syncUntil((it) => roomId in (it.rooms?.invite ?? {}));
    expect(present(after.rooms?.invite?.[roomId]).state.events).toMatchObject([
      {
        ...own,
        sender: alice.userId,
        content: { membership: "invite" },
        unsigned: { prev_content: { membership: "knock" } },
      },
    ]);
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidkick */
describe("kick", () => {
  test("removes a member, with why, and is for those who may", async () => {
    await open();
    for (const user of [bob, carol]) await act(user, "join");
    expect(await act(bob, "kick", { user_id: carol.userId })).toMatchObject(forbidden);
    const body = { user_id: bob.userId, reason: "enough" };
    expect(await act(alice, "kick", body)).toMatchObject({ status: 200, body: {} });
    expect(await memberOf(bob)).toMatchObject({ membership: "leave", reason: "enough" });
    expect(await act(alice, "kick", body)).toMatchObject(forbidden);
    expect((await act(bob, "join")).status).toBe(200);
  });

  /** Bots say so of whomever they remove without one. */
  test("takes null for no reason, as all that takes one does", async () => {
    await open();
    const reason = null;
    const about = { user_id: bob.userId, reason };
    for (const [user, verb, body] of [
      [bob, "join", { reason }],
      [alice, "kick", about],
      [alice, "ban", about],
      [alice, "unban", about],
      [alice, "invite", about],
      [bob, "leave", { reason }],
    ] as const) {
      expect(await act(user, verb, body), verb).toMatchObject({ status: 200 });
      expect(await memberOf(bob), verb).not.toHaveProperty("reason");
    }
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidban */
describe("ban", () => {
  test("keeps a user out, and is for those who may", async () => {
    await open();
    for (const user of [bob, carol]) await act(user, "join");
    expect(await act(bob, "ban", { user_id: carol.userId })).toMatchObject(forbidden);
    const body = { user_id: bob.userId, reason: "for good" };
    expect(await act(alice, "ban", body)).toMatchObject({ status: 200, body: {} });
    expect(await memberOf(bob)).toMatchObject({ membership: "ban", reason: "for good" });
    expect(await act(bob, "join")).toMatchObject(forbidden);
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidunban */
describe("unban", () => {
  test("lets a user come back, if they were banned", async () => {
    await open();
    const body = { user_id: bob.userId };
    expect((await act(alice, "unban", body)).status).toBe(403);
    await act(alice, "ban", body);
    await act(carol, "join");
    expect(await act(carol, "unban", body)).toMatchObject(forbidden);
    expect(await act(alice, "unban", body)).toMatchObject({ status: 200, body: {} });
    expect((await act(bob, "join")).status).toBe(200);
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidleave */
describe("leaveRoom", () => {
  test("leaves a room, declines an invitation, takes back a knock", async () => {
    await open("knock");
    await act(alice, "invite", { user_id: bob.userId });
    await act(bob, "join");
    await act(alice, "invite", { user_id: carol.userId });
    const dave = await hs.registerUser("dave");
    await dave.call("POST", `/v3/knock/${encodeURIComponent(roomId)}`, {});
    for (const user of [bob, carol, dave]) {
      expect(await act(user, "leave", { reason: "bye" })).toMatchObject({ status: 200, body: {} });
      expect(await memberOf(user)).toMatchObject({ membership: "leave", reason: "bye" });
    }
    expect(await bob.call("GET", `/v3/rooms/${roomId}/joined_members`)).toMatchObject(forbidden);
  });

  test("is not for one who was never there", async () => {
    expect(await act(bob, "leave")).toMatchObject(forbidden);
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidforget */
describe("forgetRoom", () => {
  test("takes a room that one has left out of all that one sees", async () => {
    await open();
    await act(bob, "join");
    expect(await act(bob, "forget")).toMatchObject(refusal(400, "M_UNKNOWN"));
    await act(bob, "leave");
    const messages = `/v3/rooms/${roomId}/messages?dir=b`;
    expect((await bob.call("GET", messages)).status).toBe(200);
    const filter = JSON.stringify({ room: { include_leave: true } });
    expect((await bob.sync({ filter })).rooms?.leave?.[roomId]).toBeDefined();
    expect(await act(bob, "forget")).toMatchObject({ status: 200, body: {} });
    expect(await bob.call("GET", messages)).toMatchObject(forbidden);
    expect((await bob.sync({ filter })).rooms?.leave?.[roomId]).toBeUndefined();
  });
});

/** @spec client-server-api#get_matrixclientv3joined_rooms */
describe("getJoinedRooms", () => {
  test("names the rooms that one is in now", async () => {
    const dave = await hs.registerUser("dave");
    const [one, two] = [await dave.createRoom(), await dave.createRoom()];
    await dave.call("POST", `/v3/rooms/${two}/leave`, {});
    await act(alice, "invite", { user_id: dave.userId });
    expect((await dave.call("GET", "/v3/joined_rooms")).body).toEqual({ joined_rooms: [one] });
  });
});
