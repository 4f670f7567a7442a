import { describe, expect, test } from "vitest";
import { type Body, type ClientEvent, joinedRoom, present } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");
const ids = (body: Pick<Body, "chunk">) => body.chunk.map((it) => it.event_id);
const text = (body: string) => ({ msgtype: "m.text", body });
const relating = (rel_type: string, event_id: string, further: object = {}) => ({
  "m.relates_to": { rel_type, event_id, ...further },
});

/** A room of Alice's that Bob is in. */
async function newRoom(): Promise<string> {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  await bob.call("POST", `/v3/join/${roomId}`, {});
  return roomId;
}

const edit = async (user: TestUser, roomId: string, eventId: string, body: string) =>
  await user.send(roomId, "m.room.message", {
    ...text(`* ${body}`),
    "m.new_content": text(body),
    ...relating("m.replace", eventId),
  });
const react = async (user: TestUser, roomId: string, eventId: string, key: string) =>
  await user.send(roomId, "m.reaction", relating("m.annotation", eventId, { key }));
const refer = async (user: TestUser, roomId: string, eventId: string) =>
  await user.send(roomId, "org.example.answer", relating("m.reference", eventId));
const reply = async (user: TestUser, roomId: string, root: string, body: string) =>
  await user.send(roomId, "m.room.message", { ...text(body), ...relating("m.thread", root) });
const read = async (user: TestUser, roomId: string, path: string) =>
  await user.call("GET", `/v1/rooms/${encodeURIComponent(roomId)}/relations/${path}`);
const redact = async (user: TestUser, roomId: string, eventId: string) =>
  await user.call("PUT", `/v3/rooms/${roomId}/redact/${eventId}/r${eventId}`, {});

/** @spec client-server-api#get_matrixclientv1roomsroomidrelationseventid */
describe("getRelatingEvents", () => {
  test("answers with what relates to an event, newest first, or oldest", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const sent = [
      await react(bob, roomId, root, "👍"),
      await refer(alice, roomId, root),
      await reply(bob, roomId, root, "in a thread"),
    ];
    await bob.send(roomId, "m.room.message", {
      ...text("a reply is none"),
      "m.relates_to": { "m.in_reply_to": { event_id: root } },
    });
    const { status, body } = await read(bob, roomId, root);
    expect(status).toBe(200);
    expect(ids(body)).toEqual(sent.toReversed());
    expect(body).not.toHaveProperty("next_batch");
    expect(body).not.toHaveProperty("recursion_depth");
    expect(ids((await read(bob, roomId, `${root}?dir=f`)).body)).toEqual(sent);
    expect((await read(bob, roomId, sent[0] ?? "")).body.chunk).toEqual([]);
  });

  test("pages both ways, and takes the tokens of sync and messages", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const sent: string[] = [];
    for (let index = 0; index < 5; index++) sent.push(await refer(bob, roomId, root));
    for (const dir of ["b", "f"]) {
      const found: string[] = [];
      let from = "";
      do {
        const { body } = await read(bob, roomId, `${root}?limit=2&dir=${dir}${from}`);
        expect(body.prev_batch !== undefined).toBe(from !== "");
        found.push(...ids(body));
        from = body.next_batch === undefined ? "" : `&from=${body.next_batch}`;
      } while (from !== "" && found.length < 20);
      expect(found).toEqual(dir === "f" ? sent : sent.toReversed());
    }
    const { next_batch } = await bob.sync();
    const later = await refer(alice, roomId, root);
    expect(ids((await read(bob, roomId, `${root}?from=${next_batch}&limit=9`)).body)).toEqual(
      sent.toReversed(),
    );
    expect(ids((await read(bob, roomId, `${root}?to=${next_batch}`)).body)).toEqual([later]);
    expect(ids((await read(bob, roomId, `${root}?dir=f&from=${next_batch}`)).body)).toEqual([
      later,
    ]);
    const page = await bob.call("GET", `/v3/rooms/${roomId}/messages?dir=b&limit=3`);
    expect(ids((await read(bob, roomId, `${root}?from=${page.body.end}&limit=2`)).body)).toEqual([
      sent[2],
      sent[1],
    ]);
  });

  test("follows relations of relations, if asked to", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const first = await refer(bob, roomId, root);
    const second = await refer(alice, roomId, first);
    const third = await react(bob, roomId, second, "👍");
    const { body } = await read(bob, roomId, `${root}?recurse=true`);
    expect(ids(body)).toEqual([third, second, first]);
    expect(body.recursion_depth).toBeGreaterThanOrEqual(3);
    expect(ids((await read(bob, roomId, `${root}?recurse=false`)).body)).toEqual([first]);
    expect(ids((await read(bob, roomId, `${root}/m.annotation?recurse=true`)).body)).toEqual([
      third,
    ]);
  });

  test("leaves out what was redacted, and whom one ignores", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const [gone, ofBob, own] = [
      await refer(alice, roomId, root),
      await refer(bob, roomId, root),
      await refer(alice, roomId, root),
    ];
    await redact(alice, roomId, gone);
    expect(ids((await read(alice, roomId, root)).body)).toEqual([own, ofBob]);
    const list = `/v3/user/${alice.userId}/account_data/m.ignored_user_list`;
    await alice.call("PUT", list, { ignored_users: { [bob.userId]: {} } });
    expect(ids((await read(alice, roomId, root)).body)).toEqual([own]);
    const { body } = await alice.call("GET", `/v3/rooms/${roomId}/event/${root}`);
    expect(body.unsigned["m.relations"]?.["m.reference"]?.chunk).toEqual([{ event_id: own }]);
    await alice.call("PUT", list, { ignored_users: {} });
  });

  test("tells nobody of an event that they may not see", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    await refer(bob, roomId, root);
    const notFound = refusal(404, "M_NOT_FOUND");
    expect(await read(mallory, roomId, root)).toMatchObject(notFound);
    expect(await read(alice, roomId, "$nothing")).toMatchObject(notFound);
    const other = await newRoom();
    expect(await read(alice, other, root)).toMatchObject(notFound);
    await bob.call("POST", `/v3/rooms/${roomId}/leave`, {});
    const after = await refer(alice, roomId, root);
    expect(ids((await read(bob, roomId, root)).body)).not.toContain(after);
  });

  test("refuses what cannot be meant", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    for (const query of [
      "dir=x",
      "limit=0",
      "limit=-1",
      "limit=x",
      "from=x",
      "to=x",
      "recurse=1",
    ]) {
      const answer = await read(alice, roomId, `${root}?${query}`);
      expect(answer, query).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    }
  });
});

/** @spec client-server-api#get_matrixclientv1roomsroomidrelationseventidreltype */
describe("getRelatingEventsWithRelType", () => {
  test("answers with what relates in one way", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const reaction = await react(bob, roomId, root, "👍");
    await refer(bob, roomId, root);
    expect(ids((await read(alice, roomId, `${root}/m.annotation`)).body)).toEqual([reaction]);
    expect((await read(alice, roomId, `${root}/org.example.other`)).body.chunk).toEqual([]);
  });
});

/** @spec client-server-api#get_matrixclientv1roomsroomidrelationseventidreltypeeventtype */
describe("getRelatingEventsWithRelTypeAndEventType", () => {
  test("answers with those of one type", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const message = await reply(bob, roomId, root, "said");
    await bob.send(roomId, "m.sticker", {
      body: "x",
      info: {},
      url: "mxc://hs.test/x",
      ...relating("m.thread", root),
    });
    const path = `${root}/m.thread/m.room.message`;
    expect(ids((await read(alice, roomId, path)).body)).toEqual([message]);
  });
});

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
