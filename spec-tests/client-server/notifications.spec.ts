import { describe, expect, test } from "vitest";
import { type Answer, homeserver, refusal } from "./client.ts";

const hs = await homeserver();

/** @spec client-server-api#get_matrixclientv3notifications */
describe("getNotifications", () => {
  test("lists what others said while one was there, newest first, in pages", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await alice.sendText(roomId, "before");
    await bob.call("POST", `/v3/join/${roomId}`, {});
    const sent = [];
    for (let count = 0; count < 3; count++) sent.push(await alice.sendText(roomId, `${count}`));
    await bob.sendText(roomId, "own");
    await alice.send(roomId, "m.room.message", { msgtype: "m.notice", body: "quiet" });
    const last = await alice.send(roomId, "m.room.message", {
      msgtype: "m.text",
      body: "you",
      "m.mentions": { user_ids: [bob.userId] },
    });
    const list = async (query = "") => await bob.call("GET", `/v3/notifications${query}`);
    const ids = (answer: Answer) => answer.body.notifications.map((it) => it.event.event_id);
    const all = await list();
    expect(ids(all)).toEqual([last, ...sent.toReversed()]);
    expect(all.body.next_token).toBeUndefined();
    expect(all.body.notifications[0]).toMatchObject({
      actions: ["notify", { set_tweak: "sound", value: "default" }, { set_tweak: "highlight" }],
      read: false,
      room_id: roomId,
      ts: all.body.notifications[0]?.event.origin_server_ts,
    });
    expect(all.body.notifications.map((it) => it.read)).toEqual([false, true, true, true]);

    const first = await list("?limit=3&from=");
    expect(ids(first)).toEqual([last, sent[2], sent[1]]);
    const second = await list(`?limit=3&from=${first.body.next_token}`);
    expect(ids(second)).toEqual([sent[0]]);
    expect(ids(await list("?only=highlight"))).toEqual([last]);
    expect((await alice.call("GET", "/v3/notifications")).body.notifications).toMatchObject([
      { event: { sender: bob.userId } },
    ]);
  });

  test("lists an invitation, and nothing of the room", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    const roomId = await alice.createRoom();
    await alice.call("POST", `/v3/rooms/${roomId}/invite`, { user_id: bob.userId });
    await alice.sendText(roomId, "secret");
    const { body } = await bob.call("GET", "/v3/notifications");
    expect(body.notifications).toMatchObject([
      { room_id: roomId, event: { type: "m.room.member", state_key: bob.userId } },
    ]);
  });

  test("refuses a token that is none", async () => {
    const alice = await hs.registerUser("alice");
    const answer = await alice.call("GET", "/v3/notifications?from=nowhere");
    expect(answer).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});
