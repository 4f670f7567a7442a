import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { joinedRoom, type SlidingAnswer } from "../../spec-tests/answers.ts";

let servers: TestHomeservers;
let ask: Ask;
let token: string;
let roomId: string;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ask = asking(servers.hs);
  token = (await registered(ask, "alice")).access_token;
  roomId = (await ask("POST", "createRoom", { token, body: {} })).body.room_id;
});
afterAll(async () => await servers.close());

const sync = async (query: string) => (await ask("GET", `sync?${query}`, { token })).body;

async function say(text: string): Promise<string> {
  const body = { msgtype: "m.text", body: text };
  const path = `rooms/${roomId}/send/m.room.message/${text}`;
  return (await ask("PUT", path, { token, body })).body.event_id;
}

describe("a token", () => {
  /** A token of a day that comes after the one to which the database was put back. */
  const future = async () => `s${Number((await sync("")).next_batch.slice(1)) + 1_000_000}`;

  test("of a future that a database put back to an earlier day has not seen knows nothing", async () => {
    const since = await future();
    // What has happened since the database was put back, and before the client came.
    await say("meanwhile");
    const left = (await ask("POST", "createRoom", { token, body: {} })).body.room_id;
    await ask("POST", `rooms/${left}/leave`, { token, body: {} });
    const told = await sync(`since=${since}&timeout=20000`);
    const { timeline, state } = joinedRoom(told, roomId);
    expect(timeline.events.at(-1)?.content.body).toBe("meanwhile");
    expect(timeline.limited).toBe(true);
    const types = [...state.events, ...timeline.events].map((it) => it.type);
    expect(types).toContain("m.room.create");
    expect(Object.keys(told.rooms?.leave ?? {})).toEqual([left]);

    // From there on as always.
    const eventId = await say("after");
    const next = await sync(`since=${told.next_batch}&timeout=20000`);
    expect(Object.keys(next.rooms ?? {})).toEqual(["join"]);
    expect(joinedRoom(next, roomId).timeline).toMatchObject({
      events: [{ event_id: eventId }],
      limited: false,
    });
  });

  test("of such a future has devices told what was sent to them, and whose devices are others", async () => {
    const bob = await registered(ask, "bob");
    await ask("POST", `rooms/${roomId}/invite`, { token, body: { user_id: bob.user_id } });
    await ask("POST", `join/${roomId}`, { token: bob.access_token, body: {} });
    const since = await future();
    const messages = { [bob.user_id]: { [bob.device_id]: { key: "for bob" } } };
    await ask("PUT", "sendToDevice/org.example/t1", { token, body: { messages } });
    const keys = { algorithms: [], keys: {}, signatures: {} };
    const device_keys = { ...keys, user_id: bob.user_id, device_id: bob.device_id };
    const asBob = { token: bob.access_token };
    await ask("POST", "keys/upload", { ...asBob, body: { device_keys } });
    const told = (await ask("GET", `sync?since=${since}`, asBob)).body;
    expect(told.to_device?.events).toMatchObject([{ content: { key: "for bob" } }]);
    expect(told.device_lists?.changed).toContain(bob.user_id);
    const changes = await ask<{ changed: string[] }>(
      "GET",
      `keys/changes?from=${since}&to=${told.next_batch}`,
      asBob,
    );
    expect(changes.body.changed).toContain(bob.user_id);

    const path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
    const body = { extensions: { to_device: { enabled: true, since } } };
    const slid = await ask<SlidingAnswer>("POST", path, { ...asBob, body });
    expect(slid.body.extensions["to_device"]).toMatchObject({
      events: [{ content: { key: "for bob" } }],
      next_batch: told.next_batch,
    });
  });

  test("of a place before an event leaves that event to be told", async () => {
    const { next_batch: since } = await sync("");
    const eventId = await say("again");
    const first = joinedRoom(await sync(`since=${since}`), roomId).timeline;
    const second = joinedRoom(await sync(`since=${first.prev_batch}`), roomId).timeline;
    expect([first.events, second.events]).toMatchObject([
      [{ event_id: eventId }],
      [{ event_id: eventId }],
    ]);
  });
});
