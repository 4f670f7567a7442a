import { describe, expect, test } from "vitest";
import { invitedRoom, joinedRoom } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const roomId = await alice.createRoom({ preset: "public_chat" });
await bob.call("POST", `/v3/join/${roomId}`, {});

let txnId = 0;
const redact = async (user: TestUser, eventId: string, body: object = {}) =>
  await user.call("PUT", `/v3/rooms/${roomId}/redact/${eventId}/${(txnId += 1)}`, body);
const read = async (eventId: string) =>
  (await alice.call("GET", `/v3/rooms/${roomId}/event/${eventId}`)).body;

/** @spec client-server-api#put_matrixclientv3roomsroomidredacteventidtxnid */
describe("redactEvent", () => {
  test("strips an event of its content, and says by what and why", async () => {
    const eventId = await bob.sendText(roomId, "a slip");
    const { status, body } = await redact(bob, eventId, { reason: "a slip" });
    expect(status).toBe(200);
    expect(await read(eventId)).toMatchObject({
      content: {},
      unsigned: {
        redacted_by: body.event_id,
        redacted_because: {
          event_id: body.event_id,
          type: "m.room.redaction",
          // Clients of old and of new room versions look in different places.
          redacts: eventId,
          content: { redacts: eventId, reason: "a slip" },
        },
      },
    });
  });

  test("lets moderators redact what others sent, and nobody else", async () => {
    const eventId = await bob.sendText(roomId, "rude");
    const other = await alice.sendText(roomId, "polite");
    expect((await redact(alice, eventId)).status).toBe(200);
    expect(await redact(bob, other)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect((await read(other)).content.body).toBe("polite");
  });

  test("cannot be had as state by those who may not redact", async () => {
    const power = { users: { [bob.userId]: 50 }, redact: 75 };
    const guarded = await alice.createRoom({
      preset: "public_chat",
      power_level_content_override: power,
    });
    await bob.call("POST", `/v3/join/${guarded}`, {});
    const redacts = await alice.sendText(guarded, "stays");
    const state = `/v3/rooms/${guarded}/state/m.room.redaction/`;
    expect(await bob.call("PUT", state, { redacts })).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
    const { body } = await alice.call("GET", `/v3/rooms/${guarded}/event/${redacts}`);
    expect(body.content.body).toBe("stays");
  });

  test("redacts what relates to an event in the ways that are named, as far as one may", async () => {
    const relate = async (user: TestUser, eventId: string, rel_type: string) =>
      await user.send(roomId, "org.example.answer", {
        "m.relates_to": { rel_type, event_id: eventId },
      });
    const isGone = async (eventId: string) => "redacted_because" in (await read(eventId)).unsigned;
    for (const field of ["with_rel_types", "org.matrix.msc3912.with_relations"]) {
      const eventId = await bob.sendText(roomId, "said");
      const own = await relate(bob, eventId, "m.reference");
      const others = await relate(alice, eventId, "m.reference");
      const thread = await relate(bob, eventId, "m.thread");
      await redact(bob, eventId, { [field]: ["m.reference"] });
      expect(await Promise.all([eventId, own, others, thread].map(isGone))).toEqual([
        true,
        true,
        false,
        false,
      ]);
      await redact(alice, eventId, { [field]: ["*"] });
      expect(await Promise.all([others, thread].map(isGone))).toEqual([true, true]);
      const bad = await redact(bob, await bob.sendText(roomId, "x"), { [field]: "m.reference" });
      expect(bad).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
  });

  test("knows only events of the room", async () => {
    const elsewhere = await alice.createRoom();
    const eventId = await alice.sendText(elsewhere, "elsewhere");
    expect(await redact(alice, eventId)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const unknown = await redact(alice, "$nothing");
    expect(unknown).toMatchObject(refusal(404, "M_NOT_FOUND"));
    // Whoever is not in that other room does not learn that there is such an event.
    const others = await bob.sendText(await bob.createRoom(), "elsewhere, too");
    expect((await redact(alice, others)).body).toEqual(unknown.body);
  });

  test("answers a transaction ID that it has had before with the same redaction", async () => {
    const eventId = await alice.sendText(roomId, "once");
    const path = `/v3/rooms/${roomId}/redact/${eventId}/again`;
    const first = await alice.call("PUT", path, {});
    expect((await alice.call("PUT", path, {})).body.event_id).toBe(first.body.event_id);
  });

  test("is told to the device with the transaction ID that it chose", async () => {
    const eventId = await alice.sendText(roomId, "once");
    const { next_batch: since } = await alice.sync();
    await alice.call("PUT", `/v3/rooms/${roomId}/redact/${eventId}/chosen`, {});
    const { timeline } = joinedRoom(await alice.sync({ since }), roomId);
    expect(timeline.events.at(-1)).toMatchObject({
      type: "m.room.redaction",
      unsigned: { transaction_id: "chosen" },
    });
  });

  test("takes what it strips out of all that tells of the room", async () => {
    const name = `/v3/rooms/${roomId}/state/m.room.name/`;
    const named = await alice.call("PUT", name, { name: "rude" });
    const own = `/v3/rooms/${roomId}/state/m.room.member/${bob.userId}`;
    const called = await bob.call("PUT", own, { membership: "join", displayname: "rude" });
    const image = { msgtype: "m.image", body: "rude", url: "mxc://hs.test/rude" };
    const shown = await bob.send(roomId, "m.room.message", image);
    const redaction = (await redact(alice, named.body.event_id, { reason: "rude" })).body.event_id;
    for (const eventId of [called.body.event_id, shown, redaction]) {
      expect((await redact(alice, eventId)).status).toBe(200);
    }
    const carol = await hs.registerUser("carol");
    await alice.call("POST", `/v3/rooms/${roomId}/invite`, { user_id: carol.userId });
    const [invited, read, members, images] = await Promise.all([
      carol.sync(),
      alice.call("GET", `/v3/rooms/${roomId}/event/${named.body.event_id}`),
      alice.call("GET", `/v3/rooms/${roomId}/joined_members`),
      alice.call("GET", `/v3/rooms/${roomId}/messages?dir=b&filter={"contains_url":true}`),
    ]);
    expect(invitedRoom(invited, roomId)).toContainEqual(
      expect.objectContaining({ type: "m.room.name", content: {} }),
    );
    expect(read.body.unsigned.redacted_because?.content).not.toHaveProperty("reason");
    expect(members.body.joined[bob.userId]).toEqual({});
    expect(images.body.chunk).toEqual([]);
  });

  test("lets state be set again to what was redacted", async () => {
    const path = `/v3/rooms/${roomId}/state/m.room.topic/`;
    const first = await alice.call("PUT", path, { topic: "again" });
    await redact(alice, first.body.event_id);
    expect((await alice.call("GET", path)).body).toEqual({});
    const again = await alice.call("PUT", path, { topic: "again" });
    expect(again.body.event_id).not.toBe(first.body.event_id);
    expect((await alice.call("GET", path)).body).toEqual({ topic: "again" });
  });

  test("is told to those who had left before, and not why", async () => {
    const [carol, dave] = [await hs.registerUser("carol"), await hs.registerUser("dave")];
    for (const it of [carol, dave]) await it.call("POST", `/v3/join/${roomId}`, {});
    const eventId = await bob.sendText(roomId, "what carol has read");
    await carol.call("POST", `/v3/rooms/${roomId}/leave`, {});
    await redact(bob, eventId, { reason: "for dave alone" });
    await dave.call("POST", `/v3/rooms/${roomId}/leave`, {});
    const seenBy = async (user: TestUser) =>
      (await user.call("GET", `/v3/rooms/${roomId}/event/${eventId}`)).body;
    expect(await seenBy(dave)).toMatchObject({
      unsigned: { redacted_because: { content: { reason: "for dave alone" } } },
    });
    expect(await seenBy(carol)).toMatchObject({
      content: {},
      unsigned: { redacted_because: { type: "m.room.redaction", sender: bob.userId } },
    });
    expect(JSON.stringify(await seenBy(carol))).not.toContain("for dave alone");
  });

  test("leaves suspended users what they sent themselves, and no more", async () => {
    const admin = await hs.registerAdministrator("admin");
    const mod = await hs.registerUser("mod");
    await mod.call("POST", `/v3/join/${roomId}`, {});
    const levels = `/v3/rooms/${roomId}/state/m.room.power_levels/`;
    const content = (await alice.call("GET", levels)).body;
    const users = { ...content.users, [mod.userId]: 50 };
    expect((await alice.call("PUT", levels, { ...content, users })).status).toBe(200);
    const own = await mod.sendText(roomId, "mine");
    const other = await bob.sendText(roomId, "bob's");
    await admin.call("PUT", `/v1/admin/suspend/${mod.userId}`, { suspended: true });
    expect(await redact(mod, other)).toMatchObject(refusal(403, "M_USER_SUSPENDED"));
    expect((await read(other)).content.body).toBe("bob's");
    expect((await redact(mod, own)).status).toBe(200);
  });
});

describe("redactEventAnew", () => {
  test("redacts without a transaction ID", async () => {
    const eventId = await bob.sendText(roomId, "another slip");
    const path = `/v3/rooms/${roomId}/redact/${encodeURIComponent(eventId)}`;
    const { status, body } = await bob.call("POST", path, {});
    expect(status).toBe(200);
    const because = { event_id: body.event_id };
    expect(await read(eventId)).toMatchObject({
      content: {},
      unsigned: { redacted_because: because },
    });
  });
});
