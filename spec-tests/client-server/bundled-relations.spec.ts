import { describe, expect, test } from "vitest";
import { type ClientEvent, joinedRoom, present } from "../answers.ts";
import { homeserver, type TestUser } from "./client.ts";
import { edit, redact, refer, relating, reply, roomOf, text } from "./relating.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");

const newRoom = async () => await roomOf(alice, bob);

/** What relates to an event, as it is told together with it everywhere. */
async function bundles(user: TestUser, roomId: string, eventId: string) {
  const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
  const find = (events: readonly ClientEvent[]) =>
    present(events.find((it) => it.event_id === eventId));
  const messages = (await user.call("GET", `${room}/messages?dir=b&limit=50`)).body.chunk;
  const context = (await user.call("GET", `${room}/context/${eventId}`)).body.event;
  const single = (await user.call("GET", `${room}/event/${eventId}`)).body;
  const around = (await user.call("GET", `${room}/context/${messages[0]?.event_id}?limit=90`)).body;
  return [find(messages), context, single, find([around.event, ...around.events_before])].map(
    ({ unsigned }) => unsigned["m.relations"],
  );
}

/** @spec client-server-api#aggregations-of-child-events */
describe("an event is told with", () => {
  test("its newest edit, if it is valid", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "first");
    await edit(alice, roomId, root, "second");
    const newest = await edit(alice, roomId, root, "third");
    await edit(bob, roomId, root, "not his");
    await alice.send(roomId, "m.room.message", { ...text("none"), ...relating("m.replace", root) });
    await alice.send(roomId, "m.sticker", {
      body: "x",
      info: {},
      url: "mxc://hs.test/x",
      "m.new_content": text("another type"),
      ...relating("m.replace", root),
    });
    for (const relations of await bundles(bob, roomId, root)) {
      expect(relations?.["m.replace"]).toMatchObject({
        event_id: newest,
        room_id: roomId,
        sender: alice.userId,
        content: { "m.new_content": text("third") },
      });
    }
    const { body } = await bob.call("GET", `/v3/rooms/${roomId}/event/${newest}`);
    expect(body.unsigned).not.toHaveProperty(["m.relations"]);
    expect((await bob.call("GET", `/v3/rooms/${roomId}/event/${root}`)).body.content.body).toBe(
      "first",
    );
    await redact(alice, roomId, newest);
    for (const relations of await bundles(bob, roomId, root)) {
      expect(relations?.["m.replace"]?.content["m.new_content"]).toEqual(text("second"));
    }
    await redact(alice, roomId, root);
    expect(await bundles(bob, roomId, root)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("what refers to it", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const chunk = [await refer(alice, roomId, root), await refer(bob, roomId, root)];
    for (const relations of await bundles(bob, roomId, root)) {
      expect(relations).toEqual({
        "m.reference": { chunk: chunk.map((event_id) => ({ event_id })) },
      });
    }
  });

  test("its thread, and the last event of that with its own", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    await reply(bob, roomId, root, "first");
    const last = await reply(bob, roomId, root, "last");
    const edited = await edit(bob, roomId, last, "edited");
    for (const relations of await bundles(alice, roomId, root)) {
      expect(relations?.["m.thread"]).toMatchObject({
        count: 2,
        current_user_participated: true,
        latest_event: {
          event_id: last,
          unsigned: { "m.relations": { "m.replace": { event_id: edited } } },
        },
      });
    }
    await mallory.call("POST", `/v3/join/${roomId}`, {});
    for (const relations of await bundles(mallory, roomId, root)) {
      expect(relations?.["m.thread"]?.current_user_participated).toBe(false);
    }
    await redact(bob, roomId, last);
    for (const relations of await bundles(alice, roomId, root)) {
      expect(relations?.["m.thread"]).toMatchObject({
        count: 1,
        latest_event: { content: { body: "first" } },
      });
    }
  });

  test("up to where they have left to those who have, and find nothing of it by what came later", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const related = async (n: string) => ({
      edit: await edit(alice, roomId, root, `xylophone${n}`),
      reply: await reply(alice, roomId, root, n),
      reference: await refer(alice, roomId, root),
    });
    const first = await related("early");
    await bob.call("POST", `/v3/rooms/${roomId}/leave`, {});
    const second = await related("late");
    const told = async (user: TestUser) =>
      (await user.call("GET", `/v3/rooms/${roomId}/event/${root}`)).body.unsigned["m.relations"];
    expect(await told(bob)).toMatchObject({
      "m.replace": { event_id: first.edit },
      "m.thread": { count: 1, latest_event: { event_id: first.reply } },
      "m.reference": { chunk: [{ event_id: first.reference }] },
    });
    expect(await told(alice)).toMatchObject({
      "m.replace": { event_id: second.edit },
      "m.thread": { count: 2, latest_event: { event_id: second.reply } },
      "m.reference": { chunk: [{ event_id: first.reference }, { event_id: second.reference }] },
    });
    const found = async (user: TestUser, search_term: string) => {
      const room_events = { search_term, filter: { rooms: [roomId] } };
      const { body } = await user.call("POST", "/v3/search", {
        search_categories: { room_events },
      });
      return body.search_categories.room_events.results.length;
    };
    expect(await found(alice, "xylophonelate")).toBe(1);
    expect(await found(bob, "xylophonelate")).toBe(0);
  });

  test("all that in a sync that has left something out, and in no other", async () => {
    const roomId = await newRoom();
    const { next_batch: since } = await bob.sync();
    const root = await alice.sendText(roomId, "root");
    const event_id = await refer(alice, roomId, root);
    const told = async (limit: number) => {
      const filter = JSON.stringify({ room: { rooms: [roomId], timeline: { limit } } });
      const { events, limited } = joinedRoom(await bob.sync({ filter, since }), roomId).timeline;
      const event = events.find((it) => it.event_id === root);
      return { limited, relations: present(event).unsigned["m.relations"] };
    };
    expect(await told(2)).toEqual({ limited: false, relations: undefined });
    const older = { room: { rooms: [roomId], timeline: { limit: 2 } } };
    const first = await bob.sync({ filter: JSON.stringify(older) });
    const { events, limited } = joinedRoom(first, roomId).timeline;
    expect(limited).toBe(true);
    expect(events[0]).toMatchObject({
      event_id: root,
      unsigned: { "m.relations": { "m.reference": { chunk: [{ event_id }] } } },
    });
  });
});
