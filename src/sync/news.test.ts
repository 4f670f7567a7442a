import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

let servers: TestHomeservers;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ask = asking(servers.hs);
});
afterAll(async () => await servers.close());

/** How often it is said. */
const TIMES = 40;

test("those who wait are told together of what somebody reads, and the last of it in the end", async () => {
  const alice = (await registered(ask, "alice")).access_token;
  const bob = (await registered(ask, "bob")).access_token;
  const body = { preset: "public_chat" };
  const { room_id: roomId } = (await ask("POST", "createRoom", { token: alice, body })).body;
  await ask("POST", `join/${roomId}`, { token: bob, body: {} });
  const events: string[] = [];
  for (let time = 0; time < TIMES; time++) {
    const path = `rooms/${roomId}/send/m.room.message/${time}`;
    const said = { msgtype: "m.text", body: `${time}` };
    events.push((await ask("PUT", path, { token: alice, body: said })).body.event_id);
  }

  let since = (await ask("GET", "sync", { token: alice })).body.next_batch;
  let answers = 0;
  let read: string | undefined;
  let ended = false;
  const listening = (async () => {
    while (!ended) {
      const path = `sync?since=${since}&timeout=1000`;
      const answer = (await ask("GET", path, { token: alice })).body;
      since = answer.next_batch;
      const [told] = answer.rooms?.join?.[roomId]?.ephemeral?.events ?? [];
      if (told === undefined) continue;
      answers += 1;
      read = Object.keys(told.content)[0];
    }
  })();
  try {
    const begun = performance.now();
    for (const eventId of events) {
      await ask("POST", `rooms/${roomId}/receipt/m.read/${eventId}`, { token: bob, body: {} });
    }
    const tookMs = performance.now() - begun;
    // A machine on which this takes long has time to tell more.
    expect(answers).toBeLessThan(TIMES / 4 + tookMs / 100);
    await expect.poll(() => read).toBe(events.at(-1));
  } finally {
    ended = true;
    await listening;
  }
});
