import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import type { TestUser } from "../test-user.ts";
import { ask, demand } from "./call.ts";

const USERS = 30;
/** Each of them polls so often at once. */
const POLLS_EACH = 10;
const SENDS = 40;

let server: HomeserverUnderTest;
let users: TestUser[];
let roomId: string;

beforeAll(async () => {
  // As few connections as may be configured: whoever waits for a second one while holding one waits for ever.
  server = await startHomeserver({ env: { ARCHIPEL_DATABASE_MAX_CONNECTIONS: "2" } });
  users = await Promise.all(
    Array.from({ length: USERS }, async () => await server.registerUser("poller")),
  );
  roomId = (await users[0]?.createRoom({ preset: "public_chat" })) ?? "";
  const path = `/v3/join/${encodeURIComponent(roomId)}`;
  for (const { accessToken: token } of users) {
    await demand(server.url, { method: "POST", path, token, body: {} });
  }
}, 120_000);
afterAll(async () => await server.dispose());

describe.skipIf(isOutside)("300 long polls on a server with two database connections", () => {
  test("hold up neither each other nor those who send", async () => {
    const sinces = await Promise.all(
      users.map(async ({ accessToken: token }) => {
        const answer = await demand(server.url, { method: "GET", path: "/v3/sync", token });
        return answer.next_batch as string;
      }),
    );
    const polls = users.flatMap(({ accessToken: token }, index) =>
      Array.from({ length: POLLS_EACH }, async () => await pollOn(token, sinces[index] ?? "")),
    );
    await sleep(500);
    const slowest = await sendAll();
    const seen = await Promise.all(polls);
    expect(seen.filter((it) => it !== SENDS)).toEqual([]);
    // It is not a matter of speed: an answer that needed another's connection would not come at all.
    expect(slowest).toBeLessThan(10_000);
  }, 90_000);
});

/** Follows the room until all messages have come. @returns how many came */
async function pollOn(token: string, from: string): Promise<number> {
  let since = from;
  let count = 0;
  while (count < SENDS) {
    const query = new URLSearchParams({
      since,
      timeout: "15000",
      filter: JSON.stringify({ room: { timeline: { limit: 2 * SENDS } } }),
    });
    const answer = await demand(server.url, {
      method: "GET",
      path: `/v3/sync?${query.toString()}`,
      token,
    });
    since = answer.next_batch;
    const events = answer.rooms?.join?.[roomId]?.timeline?.events ?? [];
    count += events.filter((it) => it.type === "m.room.message").length;
  }
  return count;
}

/** Sends from several users at once, beside reads that need the database. @returns the slowest, in milliseconds */
async function sendAll(): Promise<number> {
  let slowest = 0;
  const room = encodeURIComponent(roomId);
  await Promise.all(
    Array.from({ length: SENDS }, async (_, index) => {
      const { accessToken: token = "" } = users[index % USERS] ?? {};
      const begun = performance.now();
      const path = `/v3/rooms/${room}/send/m.room.message/${index}`;
      const body = { msgtype: "m.text", body: `${index}` };
      await demand(server.url, { method: "PUT", path, token, body });
      slowest = Math.max(slowest, performance.now() - begun);
      for (const read of ["messages?dir=b&limit=50", "state", "members"]) {
        const reply = await ask(server.url, {
          method: "GET",
          path: `/v3/rooms/${room}/${read}`,
          token,
        });
        expect(reply?.status).toBe(200);
      }
    }),
  );
  return slowest;
}
