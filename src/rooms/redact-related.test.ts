import { afterAll, beforeAll, expect, test } from "vitest";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { requireJoined } from "./memberships.ts";
import { relatedToRedact } from "./redact-related.ts";
import { sendEvent } from "./send-event.ts";

let servers: TestHomeservers;
beforeAll(async () => {
  servers = await testHomeservers();
});
afterAll(async () => await servers.close());

test("what others have sent is tried only for those who may redact that", async () => {
  const { hs } = servers;
  const [alice, bob] = [await testUser(hs, "alice"), await testUser(hs, "bob")];
  const roomId = await createRoom(hs, alice, { preset: "public_chat" });
  await joinRoom(hs, bob, roomId);
  const room = await requireJoined(hs, alice, roomId);
  const say = async (sender: typeof alice, further: object = {}) => {
    const content = { msgtype: "m.text", body: "hello", ...further };
    return await sendEvent(hs, { sender, room, draft: { type: "m.room.message", content } });
  };
  const target = await say(bob);
  const reply = { "m.relates_to": { rel_type: "m.thread", event_id: target } };
  const [others, own] = [await say(alice, reply), await say(bob, reply)];
  const about = { target, relTypes: ["*"] };
  expect(await relatedToRedact(hs, bob, room, about)).toEqual([own]);
  const all = await relatedToRedact(hs, alice, room, about);
  expect(all.toSorted()).toEqual([others, own].toSorted());
});
