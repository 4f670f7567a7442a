import { expect, test } from "vitest";
import { joinedRoom } from "../answers.ts";
import { homeserver, type TestUser } from "./client.ts";

// Proposal 4293: who removes a user from a room may have all redacted that they sent there.

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const FLAG = "org.matrix.msc4293.redact_events";

async function roomWith(name: string, request: object = {}) {
  const spammer = await hs.registerUser(name);
  const roomId = await alice.createRoom({ preset: "public_chat", ...request });
  await spammer.call("POST", `/v3/join/${roomId}`, {});
  return { spammer, roomId };
}

async function remove(roomId: string, who: TestUser, verb: "kick" | "ban", further: object = {}) {
  const body = { user_id: who.userId, reason: "spam", [FLAG]: true, ...further };
  const { status } = await alice.call("POST", `/v3/rooms/${roomId}/${verb}`, body);
  expect(status).toBe(200);
}

const read = async (roomId: string, eventId: string) =>
  (await alice.call("GET", `/v3/rooms/${roomId}/event/${encodeURIComponent(eventId)}`)).body;

test.each(["kick", "ban"] as const)(
  "what one sent who was removed by a %s is gone",
  async (verb) => {
    const { spammer, roomId } = await roomWith("spam");
    const others = await alice.sendText(roomId, "hello");
    const sent = [
      await spammer.sendText(roomId, "buy this"),
      await spammer.sendText(roomId, "now"),
    ];
    await spammer.call("PUT", `/v3/profile/${spammer.userId}/displayname`, { displayname: "Best" });
    sent.push(await spammer.sendText(roomId, "still cheap"));
    await remove(roomId, spammer, verb);

    for (const eventId of sent) {
      expect(await read(roomId, eventId)).toMatchObject({
        content: {},
        unsigned: {
          redacted_because: {
            type: "m.room.member",
            sender: alice.userId,
            state_key: spammer.userId,
            content: { reason: "spam", [FLAG]: true },
          },
        },
      });
    }
    expect((await read(roomId, others)).content.body).toBe("hello");
    const { timeline } = joinedRoom(await alice.sync(), roomId);
    const said = timeline.events.map((it) => it.content.body).filter(Boolean);
    expect(said).toEqual(["hello"]);
  },
);

test("what one sent during an earlier stay remains, and what they send later", async () => {
  const { spammer, roomId } = await roomWith("again");
  const before = await spammer.sendText(roomId, "before");
  await spammer.call("POST", `/v3/rooms/${roomId}/leave`, {});
  await spammer.call("POST", `/v3/join/${roomId}`, {});
  const last = await spammer.sendText(roomId, "last");
  await remove(roomId, spammer, "ban");
  expect((await read(roomId, before)).content.body).toBe("before");
  expect((await read(roomId, last)).content).toEqual({});
  await alice.call("POST", `/v3/rooms/${roomId}/unban`, { user_id: spammer.userId });
  await spammer.call("POST", `/v3/join/${roomId}`, {});
  const later = await spammer.sendText(roomId, "sorry");
  expect((await read(roomId, later)).content.body).toBe("sorry");
});

test.each(["leave", "kick"])(
  "what one sent who is banned only after a %s is gone as well",
  async (verb) => {
    const { spammer, roomId } = await roomWith("gone");
    const before = await spammer.sendText(roomId, "before");
    await spammer.call("POST", `/v3/rooms/${roomId}/leave`, {});
    await spammer.call("POST", `/v3/join/${roomId}`, {});
    const last = await spammer.sendText(roomId, "last");
    if (verb === "kick") await remove(roomId, spammer, "kick", { [FLAG]: false });
    else await spammer.call("POST", `/v3/rooms/${roomId}/leave`, {});
    expect((await read(roomId, last)).content.body).toBe("last");
    await remove(roomId, spammer, "ban");
    expect((await read(roomId, last)).content).toEqual({});
    expect((await read(roomId, before)).content.body).toBe("before");
  },
);

test("reactions of one who was removed are counted no more, nor their answers found", async () => {
  const { spammer, roomId } = await roomWith("react");
  const eventId = await alice.sendText(roomId, "hello");
  const answer = await spammer.send(roomId, "org.example.answer", {
    "m.relates_to": { rel_type: "m.reference", event_id: eventId },
  });
  await spammer.sendText(roomId, "unmistakable nonsense");
  const related = async () =>
    (await read(roomId, eventId)).unsigned["m.relations"]?.["m.reference"]?.chunk;
  const search_categories = { room_events: { search_term: "unmistakable" } };
  const found = async () =>
    (await alice.call("POST", "/v3/search", { search_categories })).body.search_categories
      .room_events.results;
  expect(await related()).toEqual([{ event_id: answer }]);
  expect(await found()).toHaveLength(1);
  await remove(roomId, spammer, "ban");
  expect(await related()).toBeUndefined();
  expect(await found()).toEqual([]);
});

test("the flag means nothing that is false, or of one who may not redact", async () => {
  const { spammer, roomId } = await roomWith("kept");
  const first = await spammer.sendText(roomId, "first");
  await remove(roomId, spammer, "kick", { [FLAG]: false });
  expect((await read(roomId, first)).content.body).toBe("first");

  const strict = await roomWith("strict", {
    power_level_content_override: { events: { "m.room.redaction": 101 } },
    room_version: "11",
  });
  const second = await strict.spammer.sendText(strict.roomId, "second");
  await remove(strict.roomId, strict.spammer, "ban");
  expect((await read(strict.roomId, second)).content.body).toBe("second");
});

test("state without which the room would fall apart stays", async () => {
  const { spammer, roomId } = await roomWith("admin", {
    power_level_content_override: { events: { "m.room.encryption": 0, "m.room.topic": 0 } },
  });
  const state = async (type: string, content: object) =>
    (await spammer.call("PUT", `/v3/rooms/${roomId}/state/${type}/`, content)).body.event_id;
  const encryption = await state("m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" });
  const topic = await state("m.room.topic", { topic: "cheap" });
  await remove(roomId, spammer, "ban");
  expect((await read(roomId, encryption)).content).toMatchObject({
    algorithm: "m.megolm.v1.aes-sha2",
  });
  expect((await read(roomId, topic)).content).toEqual({});
});

test("who is told of what was said and of the removal at once is not told what was said", async () => {
  const { spammer, roomId } = await roomWith("late");
  const reader = await hs.registerUser("reader");
  await reader.call("POST", `/v3/join/${roomId}`, {});
  const since = (await reader.sync()).next_batch;
  await spammer.sendText(roomId, "buy");
  await remove(roomId, spammer, "ban");
  const { timeline } = joinedRoom(await reader.sync({ since }), roomId);
  const [said, ban] = timeline.events;
  expect(said).toMatchObject({ type: "m.room.message", content: {} });
  expect(ban).toMatchObject({ type: "m.room.member", content: { membership: "ban" } });
});
