import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { joinedRoom, present } from "../../spec-tests/answers.ts";

let servers: TestHomeservers;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ask = asking(servers.hs);
});
afterAll(async () => await servers.close());

type User = { access_token: string; user_id: string };

let count = 0;

/** A room of two, and what they can do. */
async function roomOfTwo() {
  count++;
  const alice: User = await registered(ask, `alice-${count}`);
  const bob: User = await registered(ask, `bob-${count}`);
  const body = { preset: "public_chat" };
  const created = await ask("POST", "createRoom", { token: alice.access_token, body });
  const roomId: string = created.body.room_id;
  await ask("POST", `join/${roomId}`, { token: bob.access_token });
  let sent = 0;
  const send = async ({ access_token: token }: User, content: object) => {
    const path = `rooms/${roomId}/send/m.room.message/${(sent += 1)}`;
    const answer = await ask("PUT", path, { token, body: { msgtype: "m.text", ...content } });
    return answer.body.event_id as string;
  };
  const types = async ({ access_token: token, user_id }: User) => {
    const path = `rooms/${roomId}/typing/${user_id}`;
    await ask("PUT", path, { token, body: { typing: true, timeout: 60_000 } });
  };
  const sync = async (filter: object, query = "") => {
    // Nobody comes online by it, of which they would be told.
    const path = `sync?set_presence=offline&filter=${encodeURIComponent(JSON.stringify(filter))}&${query}`;
    return (await ask("GET", path, { token: alice.access_token })).body;
  };
  return { alice, bob, roomId, send, types, sync };
}

describe("a client that waits", () => {
  /** Waits through something that happens and is not wanted, and then for something that is. */
  async function waitThrough(
    { alice, roomId, sync }: Awaited<ReturnType<typeof roomOfTwo>>,
    filter: object,
    happens: () => Promise<unknown>,
  ) {
    const { next_batch: since } = await sync(filter);
    const begun = performance.now();
    const waiting = sync(filter, `timeout=500&since=${since}`);
    await happens();
    const { rooms, next_batch } = await waiting;
    const waitedMs = performance.now() - begun;
    const again = sync(filter, `timeout=20000&since=${next_batch}`);
    const path = `rooms/${roomId}/state/m.room.topic/`;
    await ask("PUT", path, { token: alice.access_token, body: { topic: "wanted" } });
    const { events } = joinedRoom(await again, roomId).timeline;
    return { isWholeWait: waitedMs > 450, rooms, events };
  }

  const asleep = {
    isWholeWait: true,
    rooms: undefined,
    events: [expect.objectContaining({ content: { topic: "wanted" } })],
  };

  test("is not woken by what its filter leaves out", async () => {
    const room = await roomOfTwo();
    const filter = {
      room: { ephemeral: { not_types: ["m.typing"] }, timeline: { not_types: ["m.room.message"] } },
    };
    const waited = await waitThrough(room, filter, async () => {
      await room.types(room.bob);
      await room.send(room.bob, { body: "unwanted" });
    });
    expect(waited).toEqual(asleep);
  });

  test("is not woken by what ignored users say", async () => {
    const room = await roomOfTwo();
    const { alice, bob } = room;
    const path = `user/${alice.user_id}/account_data/m.ignored_user_list`;
    const body = { ignored_users: { [bob.user_id]: {} } };
    await ask("PUT", path, { token: alice.access_token, body });
    const says = async () => await room.send(bob, { body: "unwanted" });
    expect(await waitThrough(room, {}, says)).toEqual(asleep);
  });

  test("is told of all that it wants, however long it has waited through what it does not", async () => {
    const { bob, roomId, send, sync } = await roomOfTwo();
    const filter = { room: { timeline: { types: ["m.room.message"], not_senders: ["@x:y"] } } };
    const { next_batch: since } = await sync(filter);
    const waiting = sync(filter, `timeout=20000&since=${since}`);
    const path = `rooms/${roomId}/send/org.example.unwanted/1`;
    await ask("PUT", path, { token: bob.access_token, body: {} });
    const eventId = await send(bob, { body: "wanted" });
    const { timeline } = joinedRoom(await waiting, roomId);
    expect(timeline).toMatchObject({ events: [{ event_id: eventId }], limited: false });
  });
});

describe("a filter", () => {
  test.each(["timeline", "state", "ephemeral", "account_data"] as const)(
    "may leave rooms out of one part alone: %s",
    async (part) => {
      const { alice, roomId, send, types, sync } = await roomOfTwo();
      await send(alice, { body: "said" });
      await types(alice);
      const path = `user/${alice.user_id}/rooms/${roomId}/account_data/org.example`;
      await ask("PUT", path, { token: alice.access_token, body: { kept: true } });
      const parts = ["timeline", "state", "ephemeral", "account_data"] as const;
      const timeline = { limit: 1 };
      for (const left of [{ not_rooms: [roomId] }, { rooms: ["!other"] }]) {
        const room = { timeline, [part]: { ...(part === "timeline" && timeline), ...left } };
        const told = joinedRoom(await sync({ room }), roomId);
        const filled = parts.filter((it) => (told[it]?.events ?? []).length > 0);
        expect(filled).toEqual(parts.filter((it) => it !== part));
      }
    },
  );

  test("may ask what relates to events", async () => {
    const { alice, bob, roomId, send, sync } = await roomOfTwo();
    const { next_batch: since } = await sync({});
    const root = await send(alice, { body: "root" });
    await send(alice, { body: "alone" });
    await send(bob, { body: "reply", "m.relates_to": { rel_type: "m.thread", event_id: root } });
    const timeline = { related_by_rel_types: ["m.thread"], related_by_senders: [bob.user_id] };
    for (const query of ["", `since=${since}`]) {
      const told = joinedRoom(await sync({ room: { timeline } }, query), roomId);
      expect(told.timeline.events).toMatchObject([{ event_id: root }]);
    }
  });

  test("heeds nothing that relates to an event from another room", async () => {
    const { alice, bob, roomId, send, sync } = await roomOfTwo();
    const root = await send(alice, { body: "root" });
    const elsewhere = await ask("POST", "createRoom", { token: bob.access_token });
    const path = `rooms/${elsewhere.body.room_id}/send/org.example/1`;
    const content = { body: "reply", "m.relates_to": { rel_type: "m.reference", event_id: root } };
    await ask("PUT", path, { token: bob.access_token, body: content });
    const timeline = { related_by_rel_types: ["m.reference"] };
    expect(joinedRoom(await sync({ room: { timeline } }), roomId).timeline.events).toEqual([]);
  });

  test("keeps no change of the members' number back with their events", async () => {
    const { roomId, sync } = await roomOfTwo();
    const filter = { room: { timeline: { types: [] }, state: { types: [] } } };
    const { next_batch: since } = await sync(filter);
    const carol: User = await registered(ask, `carol-${count}`);
    await ask("POST", `join/${roomId}`, { token: carol.access_token });
    const told = joinedRoom(await sync(filter, `since=${since}`), roomId);
    expect(told.summary["m.joined_member_count"]).toBe(3);
  });
});

test("a room that was left comes with what its user has stored of it", async () => {
  const { alice, roomId, sync } = await roomOfTwo();
  const token = alice.access_token;
  const path = `user/${alice.user_id}/rooms/${roomId}/account_data/org.example`;
  await ask("PUT", path, { token, body: { n: 1 } });
  await ask("POST", `rooms/${roomId}/leave`, { token });
  const { leave } = present((await sync({ room: { include_leave: true } })).rooms);
  expect(leave?.[roomId]?.account_data.events).toEqual([
    { type: "org.example", content: { n: 1 } },
  ]);
});
