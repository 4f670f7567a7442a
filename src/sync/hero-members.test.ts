import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { joinedRoom } from "../../spec-tests/answers.ts";

let servers: TestHomeservers;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ask = asking(servers.hs);
});
afterAll(async () => await servers.close());

type Told = { heroes: string[]; members: string[]; since: string };

/** Syncs with members as they are needed, and lists whose member events come. */
async function sync(token: string, roomId: string, query = ""): Promise<Told> {
  const room = { state: { lazy_load_members: true }, timeline: { limit: 1 } };
  const filter = encodeURIComponent(JSON.stringify({ room }));
  const { body } = await ask("GET", `sync?filter=${filter}${query}`, { token });
  const its = body.rooms?.join?.[roomId];
  const events = (its?.state ?? its?.state_after)?.events ?? [];
  const members = events.filter((it) => it.type === "m.room.member");
  return {
    heroes: z.array(z.string()).parse(its?.summary["m.heroes"] ?? []),
    members: members.map((it) => it.state_key).toSorted(),
    since: body.next_batch,
  };
}

/** A room of three in which the first has said something. */
async function roomOfThree(name: string, options: object = {}) {
  const alice = await registered(ask, `alice-${name}`);
  const bob = await registered(ask, `bob-${name}`);
  const carol = await registered(ask, `carol-${name}`);
  const created = { preset: "public_chat", ...options };
  const token: string = alice.access_token;
  const { body } = await ask("POST", "createRoom", { token, body: created });
  const roomId: string = body.room_id;
  for (const it of [bob, carol]) await ask("POST", `join/${roomId}`, { token: it.access_token });
  const say = async (text: string) =>
    await ask("PUT", `rooms/${roomId}/send/m.room.message/${text}`, {
      token,
      body: { body: text, msgtype: "m.text" },
    });
  await say("hello");
  return { roomId, token, say, alice: alice.user_id, bob: bob.user_id, carol: carol.user_id };
}

describe("whom a room without a name is named after", () => {
  test("is among its state at first, and not again", async () => {
    const { roomId, token, say, alice, bob, carol } = await roomOfThree("first");
    const first = await sync(token, roomId);
    expect(first.heroes).toEqual([bob, carol]);
    expect(first.members).toEqual([alice, bob, carol]);

    await say("once");
    await say("more");
    const second = await sync(token, roomId, `&since=${first.since}`);
    expect(second.members).toEqual([]);
    const whole = await sync(token, roomId, `&since=${first.since}&full_state=true`);
    expect(whole.members).toEqual([alice, bob, carol]);
  });

  test("is among the state after the timeline, too", async () => {
    const { roomId, token, alice, bob, carol } = await roomOfThree("after");
    const { members } = await sync(token, roomId, "&use_state_after=true");
    expect(members).toEqual([alice, bob, carol]);
  });

  test("comes once that is somebody else", async () => {
    const { roomId, token, bob } = await roomOfThree("else");
    const first = await sync(token, roomId);
    const dave = await registered(ask, "dave-else");
    await ask("POST", `join/${roomId}`, { token: dave.access_token });
    const name = { displayname: "David", membership: "join" };
    const path = `rooms/${roomId}/state/m.room.member/${dave.user_id}`;
    await ask("PUT", path, { token: dave.access_token, body: name });
    await ask("POST", `rooms/${roomId}/kick`, { token, body: { user_id: bob } });
    const next = await sync(token, roomId, `&since=${first.since}`);
    expect(next.heroes).toContain(dave.user_id);
    expect(next.members).toContain(dave.user_id);
  });

  test("is nobody where there is nobody else", async () => {
    const { access_token: token } = await registered(ask, "alone");
    const { body } = await ask("POST", "createRoom", { token, body: {} });
    const told = (await ask("GET", "sync", { token })).body;
    expect(joinedRoom(told, body.room_id).summary["m.heroes"]).toEqual([]);
  });

  test("stays out where the room has a name", async () => {
    const { roomId, token, alice } = await roomOfThree("named", { name: "Harbour" });
    const { heroes, members } = await sync(token, roomId);
    expect(heroes).toEqual([]);
    expect(members).toEqual([alice]);
  });
});
