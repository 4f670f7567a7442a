import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { homeserver, refusal, type TestUser, timelineHas } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const mallory = await hs.registerUser("mallory");
const roomId = await alice.createRoom();

/** @spec client-server-api#put_matrixclientv3roomsroomidsendeventtypetxnid */
describe("sendMessage", () => {
  const send = async (user: TestUser, txnId: string, content: unknown, type = "m.room.message") =>
    await user.call("PUT", `/v3/rooms/${roomId}/send/${type}/${txnId}`, content);

  test("answers with the ID of an event that sync then shows", async () => {
    const sent = await send(alice, "1", { msgtype: "m.text", body: "hello" });

    expect(sent).toMatchObject({ status: 200, body: { event_id: expect.stringMatching(/^\$/) } });
    await alice.syncUntil(timelineHas(roomId, sent.body.event_id));
  });

  test("answers a transaction ID that it has had before with the same event", async () => {
    const first = await send(alice, "2", { msgtype: "m.text", body: "once" });
    const again = await send(alice, "2", { msgtype: "m.text", body: "twice" });
    expect(again.body.event_id).toBe(first.body.event_id);
  });

  test("takes the transaction ID of another device for another event", async () => {
    const first = await send(alice, "3", { msgtype: "m.text", body: "here" });
    const there = await send(await hs.logIn(alice), "3", { msgtype: "m.text", body: "there" });
    expect(there.status).toBe(200);
    expect(there.body.event_id).not.toBe(first.body.event_id);
  });

  test("forbids it to one who is not in the room", async () => {
    const content = { msgtype: "m.text", body: "let me in" };
    expect(await send(mallory, "4", content)).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });

  test("says nothing more of a room that is not there", async () => {
    const path = "/v3/rooms/!nowhere:hs.test/send/m.room.message/1";
    const content = { msgtype: "m.text", body: "anybody?" };
    expect(await alice.call("PUT", path, content)).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });

  test("refuses an event of more than 65,536 bytes", async () => {
    const content = { msgtype: "m.text", body: "x".repeat(65_536) };
    expect(await send(alice, "5", content)).toMatchObject(refusal(413, "M_TOO_LARGE"));
  });

  test.each([1.5, 2 ** 53, -(2 ** 53)])(
    "refuses the number %d, which no event holds",
    async (n) => {
      expect(await send(alice, "6", { n }, "org.example")).toMatchObject(
        refusal(400, "M_BAD_JSON"),
      );
    },
  );

  test("sends what says that it relates to something that nothing is called", async () => {
    const long = randomBytes(6000).toString("base64url");
    const relations = [
      { rel_type: "m.thread", event_id: `$${long}` },
      { rel_type: long, event_id: "$root" },
      { rel_type: "m.thread", event_id: "$\0" },
    ];
    for (const [index, relation] of relations.entries()) {
      const content = { "m.relates_to": relation };
      expect((await send(alice, `8${index}`, content, "org.example")).status).toBe(200);
    }
  });

  test("refuses a transaction ID that is longer than any need be", async () => {
    const answer = await send(alice, randomBytes(2000).toString("base64url"), {}, "org.example");
    expect(answer).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(answer.body.error).toContain("transaction ID");
  });

  test("forbids types above the power of the sender", async () => {
    const open = await alice.createRoom({ preset: "public_chat" });
    await mallory.call("POST", `/v3/join/${open}`, {});
    const levels = await alice.call("GET", `/v3/rooms/${open}/state/m.room.power_levels`);
    const events = { ...levels.body.events, "org.example.high": 50 };
    const path = `/v3/rooms/${open}/state/m.room.power_levels/`;
    expect((await alice.call("PUT", path, { ...levels.body, events })).status).toBe(200);
    expect(
      await mallory.call("PUT", `/v3/rooms/${open}/send/org.example.high/1`, {}),
    ).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});

describe("sendMessageAnew", () => {
  test("sends each time", async () => {
    const post = async () =>
      await alice.call("POST", `/v3/rooms/${roomId}/send/m.room.message`, {
        msgtype: "m.text",
        body: "again",
      });
    const [one, two] = [await post(), await post()];
    expect(one).toMatchObject({ status: 200, body: { event_id: expect.stringMatching(/^\$/) } });
    expect(two.body.event_id).not.toBe(one.body.event_id);
    await alice.syncUntil(timelineHas(roomId, two.body.event_id));
  });
});
