import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { present } from "../../spec-tests/answers.ts";

let servers: TestHomeservers;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ask = asking(servers.hs);
});
afterAll(async () => await servers.close());

type User = { access_token: string; user_id: string };
type Told = { type: string; state_key?: string; content: Record<string, unknown> };

let count = 0;

/** A room in which members see what happens while they are joined, and two users, of whom the first has made it. */
async function roomOfTheJoined() {
  count++;
  const alice: User = await registered(ask, `alice-${count}`);
  const bob: User = await registered(ask, `bob-${count}`);
  const content = { history_visibility: "joined" };
  const initial_state = [{ type: "m.room.history_visibility", content }];
  const room = { preset: "public_chat", initial_state };
  const created = await ask("POST", "createRoom", { token: alice.access_token, body: room });
  const roomId: string = created.body.room_id;
  const member = async (verb: string, { access_token: token }: User) =>
    await ask("POST", `rooms/${roomId}/${verb}`, { token, body: {} });
  const setTopic = async (topic: string) => {
    const path = `rooms/${roomId}/state/m.room.topic/`;
    await ask("PUT", path, { token: alice.access_token, body: { topic } });
  };
  const say = async (text: string) => {
    const body = { msgtype: "m.text", body: text };
    const path = `rooms/${roomId}/send/m.room.message/${text}`;
    await ask("PUT", path, { token: alice.access_token, body });
  };
  const sync = async ({ access_token: token }: User, query = "", filter: object = {}) => {
    const path = `sync?filter=${encodeURIComponent(JSON.stringify(filter))}&${query}`;
    const { next_batch, rooms } = (await ask("GET", path, { token })).body;
    return { since: next_batch, joined: rooms?.join?.[roomId], left: rooms?.leave?.[roomId] };
  };
  return { alice, bob, roomId, member, setTopic, say, sync };
}

const topics = (events: readonly Told[]) =>
  events.flatMap((it) => (it.type === "m.room.topic" ? [it.content["topic"]] : []));
const texts = (events: readonly Told[]) =>
  events.flatMap((it) => (it.type === "m.room.message" ? [it.content["body"]] : []));

describe("a timeline", () => {
  test("goes on before messages that are not for the user, and before state that has been set anew", async () => {
    const { alice, bob, roomId, member, say, sync } = await roomOfTheJoined();
    const setVisibility = async (history_visibility: string) => {
      const path = `rooms/${roomId}/state/m.room.history_visibility/`;
      await ask("PUT", path, { token: alice.access_token, body: { history_visibility } });
    };
    await setVisibility("shared");
    await say("shared");
    for (const it of ["joined", "invited", "joined"]) await setVisibility(it);
    await say("not for bob");
    await setVisibility("shared");
    await member("join", bob);
    const { timeline } = present(
      (await sync(bob, "", { room: { timeline: { limit: 50 } } })).joined,
    );
    expect(texts(timeline.events)).toEqual(["shared"]);
    const visibilities = timeline.events.flatMap(
      (it: Told) => it.content["history_visibility"] ?? [],
    );
    expect(visibilities.slice(-3)).toEqual(["shared", "joined", "shared"]);
  });

  test.each(["a first sync", "one that goes on"])(
    "has no hole in which state is lost: %s",
    async (which) => {
      const { bob, roomId, member, setTopic, say, sync } = await roomOfTheJoined();
      await member("join", bob);
      const { since } = await sync(bob);
      await setTopic("before");
      await say("before");
      await member("leave", bob);
      await setTopic("while away");
      await member("join", bob);
      await say("after");
      const query = which === "a first sync" ? "" : `since=${since}`;
      const filter = { room: { timeline: { limit: 50 } } };
      const { state, timeline } = present((await sync(bob, query, filter)).joined);
      expect(topics([...state.events, ...timeline.events])).toEqual(["while away"]);
      expect(texts(timeline.events)).toEqual(["after"]);
      expect(timeline.limited).toBe(true);
      const token = bob.access_token;
      const from = `dir=b&from=${timeline.prev_batch}`;
      const older = await ask("GET", `rooms/${roomId}/messages?${from}`, { token });
      expect(texts(older.body.chunk)).toEqual(["before"]);
      expect(topics(older.body.chunk)).toEqual(["before"]);
    },
  );

  test("that a filter leaves empty hides no change of the state", async () => {
    const { alice, roomId, setTopic, sync } = await roomOfTheJoined();
    const filter = { room: { timeline: { types: ["m.room.message"] } } };
    const { since } = await sync(alice, "", filter);
    await setTopic("new");
    const { state, timeline } = present((await sync(alice, `since=${since}`, filter)).joined);
    expect(timeline).toMatchObject({ events: [], limited: false });
    expect(topics(state.events)).toEqual(["new"]);
    const from = `dir=b&limit=1&from=${timeline.prev_batch}`;
    const token = alice.access_token;
    const older = await ask("GET", `rooms/${roomId}/messages?${from}`, { token });
    expect(topics(older.body.chunk)).toEqual(["new"]);
  });

  test("has no gap for one who was never in the room", async () => {
    const { alice, bob, roomId, member, say, sync } = await roomOfTheJoined();
    const invited = { token: alice.access_token, body: { user_id: bob.user_id } };
    await ask("POST", `rooms/${roomId}/invite`, invited);
    const { since } = await sync(bob);
    for (const text of ["one", "two", "three"]) await say(text);
    await member("leave", bob);
    const filter = { room: { timeline: { limit: 2 } } };
    const { timeline } = present((await sync(bob, `since=${since}`, filter)).left);
    expect(timeline).toMatchObject({ events: [{ type: "m.room.member" }], limited: false });
  });
});
