import { describe, expect, test } from "vitest";
import { joinedRoom } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver({ ARCHIPEL_SERVER_NOTICES_LOCALPART: "_server" });
const admin = await hs.registerAdministrator("admin");
const PATH = "/_synapse/admin/v1/send_server_notice";

const notice = (to: TestUser, its: object = {}) => ({
  user_id: to.userId,
  content: { msgtype: "m.text", body: "the server moves tonight" },
  ...its,
});
const send = async (to: TestUser, by = admin) =>
  await hs.request("POST", PATH, { token: by.token, body: notice(to) });
const invited = async (user: TestUser) => {
  const told = await user.syncUntil((it) => Object.keys(it.rooms?.invite ?? {}).length > 0);
  return Object.keys(told.rooms?.invite ?? {})[0] ?? "";
};

/** @spec client-server-api#server-notices */
describe("sendServerNotice", () => {
  test("tells a user in a room that is always the same, and cannot be declined", async () => {
    const alice = await hs.registerUser("alice");
    const { status, body } = await send(alice);
    expect(status).toBe(200);
    const roomId = await invited(alice);
    const leave = async () => await alice.call("POST", `/v3/rooms/${roomId}/leave`, {});
    expect(await leave()).toMatchObject(refusal(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"));
    expect((await alice.call("POST", `/v3/join/${roomId}`, {})).status).toBe(200);
    const room = joinedRoom(await alice.sync(), roomId);
    const message = room.timeline.events.find((it) => it.event_id === body.event_id);
    expect(message).toMatchObject({ sender: expect.stringMatching(/^@_server:/) });
    expect(room.account_data.events).toContainEqual({
      type: "m.tag",
      content: { tags: { "m.server_notice": {} } },
    });
    const path = `/v3/rooms/${roomId}/send/m.room.message/1`;
    const own = await alice.call("PUT", path, { msgtype: "m.text", body: "but" });
    expect(own).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect((await leave()).status).toBe(200);
    await send(alice);
    expect(await invited(alice)).toBe(roomId);
  });

  test("makes one room of two notices at once", async () => {
    const alice = await hs.registerUser("alice");
    const answers = await Promise.all([send(alice), send(alice), send(alice)]);
    expect(answers.map((it) => it.status)).toEqual([200, 200, 200]);
    await invited(alice);
    expect(Object.keys((await alice.sync()).rooms?.invite ?? {})).toHaveLength(1);
  });

  test("is for administrators, and to users who are here", async () => {
    const alice = await hs.registerUser("alice");
    expect(await send(alice, alice)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    const to = async (user_id: unknown) =>
      await hs.request("POST", PATH, { token: admin.token, body: notice(alice, { user_id }) });
    expect((await to("@nobody:elsewhere")).status).toBe(400);
    expect((await to(alice.userId.replace("@", "@no"))).status).toBe(404);
    expect((await to(5)).status).toBe(400);
  });

  test("takes its name from everybody else", async () => {
    const body = { username: "_server", password: "secret-secret" };
    const answer = await hs.request("POST", "/v3/register", { body });
    expect(answer).toMatchObject(refusal(400, "M_EXCLUSIVE"));
  });
});

describe("sendServerNoticeOnce", () => {
  test("tells once, however often it is asked", async () => {
    const alice = await hs.registerUser("alice");
    const once = async () =>
      await hs.request("PUT", `${PATH}/txn`, { token: admin.token, body: notice(alice) });
    const first = await once();
    expect(first.status).toBe(200);
    expect((await once()).body).toEqual(first.body);
  });
});
