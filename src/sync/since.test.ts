import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

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
  test("of a future that a database put back to an earlier day has not seen counts as one of now", async () => {
    const { next_batch } = await sync("");
    const future = `s${Number(next_batch.slice(1)) + 1_000_000}`;
    let told: Awaited<ReturnType<typeof sync>>;
    const waiting = (async () => {
      told = await sync(`since=${future}&timeout=20000`);
    })();
    // What was said before the request was read is no news: somebody goes on talking.
    const sent: string[] = [];
    while (told === undefined) sent.push(await say(`${sent.length}`));
    await waiting;
    const [first] = told.rooms.join[roomId].timeline.events;
    expect(sent).toContain(first.event_id);
    expect(Number(told.next_batch.slice(1))).toBeLessThan(Number(future.slice(1)));
  });

  test("of a place before an event leaves that event to be told", async () => {
    const { next_batch: since } = await sync("");
    const eventId = await say("again");
    const first = (await sync(`since=${since}`)).rooms.join[roomId].timeline;
    const second = (await sync(`since=${first.prev_batch}`)).rooms.join[roomId].timeline;
    expect([first.events, second.events]).toMatchObject([
      [{ event_id: eventId }],
      [{ event_id: eventId }],
    ]);
  });
});
