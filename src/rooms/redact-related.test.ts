import { afterAll, beforeAll, expect, test } from "vitest";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { findEvent } from "./find-event.ts";
import { requireJoined } from "./memberships.ts";
import { redactRelated, relatedToRedact } from "./redact-related.ts";
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

test("what cannot be redacted now is when the client asks once more", async () => {
  const { hs } = servers;
  const alice = await testUser(hs, "alice");
  const roomId = await createRoom(hs, alice, {});
  const room = await requireJoined(hs, alice, roomId);
  const send = async (draft: EventDraft) => await sendEvent(hs, { sender: alice, room, draft });
  const target = await send({ type: "m.room.message", content: { body: "one" } });
  const relation = { "m.relates_to": { rel_type: "m.thread", event_id: target } };
  const related = await send({ type: "m.room.message", content: { body: "two", ...relation } });
  const police = async (content: EventDraft["content"]) =>
    await send({ type: "m.room.policy", state_key: "", content });
  const { publicKey } = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
  await police({ via: hs.name, public_keys: { ed25519: unpaddedBase64(publicKey) } });
  const askPolicyServerToSign: Remotes["askPolicyServerToSign"] = async () =>
    await Promise.resolve({ ok: false, why: "unreachable", cause: "silence" });
  Object.assign(hs.remotes, { askPolicyServerToSign });
  const asked = { requester: alice, room, target, relTypes: ["*"], content: {}, txnId: "t" };
  await expect(redactRelated(hs, asked)).rejects.toMatchObject({ status: 502 });
  await police({});
  await redactRelated(hs, asked);
  expect((await findEvent(hs, related))?.redactedBy).toBeDefined();
});
