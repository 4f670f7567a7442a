import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { registry } from "#src/homeserver/metrics.ts";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { type ClientEvent, joinedRoom, present } from "../../spec-tests/answers.ts";

let servers: TestHomeservers;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ask = asking(servers.hs);
});
afterAll(async () => await servers.close());

const FILTER = encodeURIComponent(
  JSON.stringify({ room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } }),
);

/** A named room of the first that the second is in, too. */
async function roomOfTwo(one: { access_token: string }, two: { access_token: string }) {
  const body = { preset: "public_chat", name: "Quay" };
  const created = await ask("POST", "createRoom", { token: one.access_token, body });
  const roomId: string = created.body.room_id;
  await ask("POST", `join/${roomId}`, { token: two.access_token });
  return roomId;
}

test("a member is told of again until the device goes on from an answer that had it", async () => {
  const alice = await registered(ask, "alice");
  const bob = await registered(ask, "bob");
  const roomId = await roomOfTwo(alice, bob);
  const say = async (user: { access_token: string }, text: string) => {
    const body = { msgtype: "m.text", body: text };
    const path = `rooms/${roomId}/send/m.room.message/${text}`;
    await ask("PUT", path, { token: user.access_token, body });
  };
  const sync = async (since?: string) => {
    const query = since === undefined ? "" : `&since=${since}`;
    const { body } = await ask("GET", `sync?filter=${FILTER}${query}`, {
      token: alice.access_token,
    });
    const state = body.rooms?.join?.[roomId]?.state?.events ?? [];
    const members = state.filter((it: { type: string }) => it.type === "m.room.member");
    return { since: body.next_batch, of: members.map((it: { state_key: string }) => it.state_key) };
  };

  await say(alice, "one");
  const first = await sync();
  expect(first.of).toEqual([alice.user_id]);
  await say(bob, "two");
  const lost = await sync(first.since);
  expect(lost.of).toEqual([bob.user_id]);
  const again = await sync(first.since);
  expect(again.of).toEqual([bob.user_id]);
  await say(bob, "three");
  expect((await sync(again.since)).of).toEqual([]);
});

/** Two in a room, of whom the first syncs and either says something now and then. */
async function conversation(names: readonly [string, string]) {
  const alice = await registered(ask, names[0]);
  const bob = await registered(ask, names[1]);
  const roomId = await roomOfTwo(alice, bob);
  let count = 0;
  const say = async ({ access_token: token }: { access_token: string }) => {
    const path = `rooms/${roomId}/send/m.room.message/${count++}`;
    await ask("PUT", path, { token, body: { msgtype: "m.text", body: "hello" } });
  };
  /** Whose members it tells of, and where it comes to. */
  const sync = async (since?: string, further = "") => {
    const query = since === undefined ? "" : `&since=${since}${further}`;
    const token = alice.access_token;
    // That she is there, too, would be news to whoever waits.
    const path = `sync?set_presence=offline&filter=${FILTER}${query}`;
    const { body } = await ask("GET", path, { token });
    const events = body.rooms?.join?.[roomId]?.state?.events ?? [];
    const members = events.filter((it) => it.type === "m.room.member");
    return { since: body.next_batch, of: members.map((it) => it.state_key) };
  };
  return { alice, bob, say, sync };
}

test("a member that only a lost answer told of is told of when needed again", async () => {
  const { alice, bob, say, sync } = await conversation(["anna", "bert"]);
  await say(alice);
  const { since } = await sync();
  await say(bob);
  expect((await sync(since)).of).toEqual([bob.user_id]);
  // That was lost; and what comes instead shows nothing of bob.
  await say(alice);
  const instead = await sync(since);
  expect(instead.of).toEqual([]);
  await say(bob);
  const next = await sync(instead.since);
  expect(next.of).toEqual([bob.user_id]);
  await say(bob);
  expect((await sync(next.since)).of).toEqual([]);
});

test("a device that goes on from long ago is told of members again", async () => {
  const { alice, bob, say, sync } = await conversation(["aida", "bela"]);
  await say(alice);
  const kept = await sync();
  await say(bob);
  const told = await sync(kept.since);
  await say(bob);
  await sync(told.since);
  // It lost what it had not written down.
  await say(alice);
  const again = await sync(kept.since);
  await say(bob);
  expect((await sync(again.since)).of).toEqual([bob.user_id]);
});

test("a member is not told of again by an answer that was waited for while other rooms went on", async () => {
  const { alice, bob, say, sync } = await conversation(["abel", "beth"]);
  const elsewhere = await conversation(["cleo", "dora"]);
  await say(alice);
  const first = await sync();
  await say(bob);
  const known = await sync(first.since);
  expect(known.of).toEqual([bob.user_id]);
  // Of this alice is not told, so that it is plain without an answer that there is nothing for her.
  await elsewhere.say(elsewhere.alice);
  const waiting = sync(known.since, "&timeout=30000");
  await vi.waitFor(
    async () =>
      expect(await registry.getSingleMetricAsString("archipel_sync_waiting")).toMatch(/ 1$/m),
    { timeout: 20_000 },
  );
  await say(bob);
  expect((await waiting).of).toEqual([]);
});

test("changes of members in a gap are told, whether they say anything or not", async () => {
  const alice = await registered(ask, "gina");
  const roomId = await roomOfTwo(alice, await registered(ask, "hugo"));
  const sync = async (query = "") =>
    (await ask("GET", `sync?filter=${FILTER}${query}`, { token: alice.access_token })).body;
  const say = async (text: string) => {
    const path = `rooms/${roomId}/send/m.room.message/${text}`;
    await ask("PUT", path, { token: alice.access_token, body: { msgtype: "m.text", body: text } });
  };
  await say("first");
  const { next_batch: since } = await sync();
  const ines = await registered(ask, "ines");
  await ask("POST", `join/${roomId}`, { token: ines.access_token });
  await say("second");
  await say("third");
  const { state, timeline } = joinedRoom(await sync(`&since=${since}`), roomId);
  expect(timeline.limited).toBe(true);
  expect(state.events).toMatchObject([{ type: "m.room.member", state_key: ines.user_id }]);
});

test("who was outside is told what they have become, after the timeline as well", async () => {
  const carol = await registered(ask, "carol");
  const dave = await registered(ask, "dave");
  const roomId = await roomOfTwo(carol, dave);
  const kicked = { token: carol.access_token, body: { user_id: dave.user_id } };
  await ask("POST", `rooms/${roomId}/kick`, kicked);
  const { body: before } = await ask("GET", "sync", { token: dave.access_token });
  await ask("POST", `rooms/${roomId}/ban`, kicked);
  const query = `use_state_after=true&since=${before.next_batch}`;
  const { body } = await ask("GET", `sync?${query}`, { token: dave.access_token });
  const { timeline, state_after: after } = present(body.rooms?.leave?.[roomId]);
  const memberships = (events: readonly ClientEvent[] = []) =>
    events.map((it) => it.content.membership);
  expect(memberships(timeline.events)).toEqual(["ban"]);
  expect(memberships(after?.events)).toEqual(["ban"]);
});

test.each([false, true])(
  "a change of a member who says nothing is told after the timeline, redundant members or not: %s",
  async (include_redundant_members) => {
    const [one, two] = [`erin-${include_redundant_members}`, `frank-${include_redundant_members}`];
    const erin = await registered(ask, one);
    const frank = await registered(ask, two);
    const roomId = await roomOfTwo(erin, frank);
    const state = { lazy_load_members: true, include_redundant_members };
    const filter = encodeURIComponent(JSON.stringify({ room: { state } }));
    const token = erin.access_token;
    const query = `filter=${filter}&use_state_after=true`;
    const { body: before } = await ask("GET", `sync?${query}`, { token });
    await ask("POST", `rooms/${roomId}/kick`, { token, body: { user_id: frank.user_id } });
    const { body } = await ask("GET", `sync?${query}&since=${before.next_batch}`, { token });
    expect(joinedRoom(body, roomId).state_after?.events).toContainEqual(
      expect.objectContaining({
        state_key: frank.user_id,
        content: { membership: "leave" },
      }),
    );
  },
);

test("a member who changed while one was away for a moment is told of after the timeline", async () => {
  const grace = await registered(ask, "grace");
  const heidi = await registered(ask, "heidi");
  const roomId = await roomOfTwo(grace, heidi);
  const token = grace.access_token;
  const filter = {
    room: { state: { lazy_load_members: true }, timeline: { types: ["m.room.topic"] } },
  };
  const query = `use_state_after=true&filter=${encodeURIComponent(JSON.stringify(filter))}`;
  const { body: before } = await ask("GET", `sync?${query}`, { token });
  await ask("POST", `rooms/${roomId}/leave`, { token });
  await ask("POST", `rooms/${roomId}/leave`, { token: heidi.access_token });
  await ask("POST", `rooms/${roomId}/join`, { token });
  const { body } = await ask("GET", `sync?${query}&since=${before.next_batch}`, { token });
  expect(joinedRoom(body, roomId).state_after?.events).toContainEqual(
    expect.objectContaining({ state_key: heidi.user_id, content: { membership: "leave" } }),
  );
});
