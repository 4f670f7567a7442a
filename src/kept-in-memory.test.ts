import { queryObjects } from "node:v8";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

/** How often all is done before it is counted what is there, and again until it is counted anew. */
const TIMES = 60;

/** How many more of a kind there may be by then: of what is kept for each time there would be as many as times. */
const MOST_MORE = 40;

/** To count takes seconds. */
const TIMEOUT_MS = 90_000;

let homes: TestHomeservers;
let ask: Ask;
let token: string;
let userId: string;
let roomId: string;
let nth = 0;

beforeAll(async () => {
  homes = await testHomeservers(1, LENIENT);
  ask = asking(homes.hs);
  ({ access_token: token, user_id: userId } = await registered(ask, "alice"));
  roomId = (await ask("POST", "createRoom", { token, body: {} })).body.room_id as string;
});
afterAll(async () => await homes.close());

/** What a server does all day long, by what is asked of it. */
const DONE: readonly (() => Promise<void>)[] = [
  async () => {
    await asked("PUT", `rooms/${roomId}/send/m.room.message/${++nth}`, said(nth));
  },
  async () => {
    await asked("PUT", `rooms/${roomId}/state/m.room.topic`, { topic: `Number ${++nth}` });
  },
  async () => {
    await asked("PUT", `sendToDevice/org.example/${++nth}`, {
      messages: { [userId]: { "*": {} } },
    });
  },
  async () => {
    await asked("PUT", `user/${userId}/account_data/org.example`, { nth: ++nth });
  },
  async () => {
    await asked("PUT", `rooms/${roomId}/typing/${userId}`, { typing: ++nth % 2 === 0 });
  },
  async () => {
    const { body } = await ask("GET", "sync?filter={}", { token });
    const waiting = ask("GET", `sync?timeout=10000&since=${body.next_batch}`, { token });
    await asked("PUT", `rooms/${roomId}/send/m.room.message/${++nth}`, said(nth));
    expect((await waiting).status).toBe(200);
  },
  async () => {
    await asked("GET", `rooms/${roomId}/messages?dir=b&limit=3`);
  },
  async () => {
    const user = { type: "m.id.user", user: userId };
    const login = { type: "m.login.password", identifier: user, password: "secret" };
    const { body } = await ask("POST", "login", { body: login });
    await ask("POST", "logout", { token: String(body.access_token) });
  },
];

async function asked(method: string, path: string, body?: object): Promise<void> {
  expect((await ask(method, path, { token, body })).status).toBe(200);
}

function said(index: number): object {
  return { msgtype: "m.text", body: `Message ${index}` };
}

describe("a process", () => {
  test("keeps nothing for good of what it has done", { timeout: TIMEOUT_MS }, async () => {
    await doneAll();
    const before = counted();
    await doneAll();
    const after = counted();
    expect(after.promises - before.promises).toBeLessThan(MOST_MORE);
    expect(after.errors - before.errors).toBeLessThan(MOST_MORE);
  });
});

async function doneAll(): Promise<void> {
  for (let time = 0; time < TIMES; time++) for (const act of DONE) await act();
}

/** What is there of kinds that no cache holds, and all that is kept by mistake has with it. */
function counted(): { readonly promises: number; readonly errors: number } {
  return {
    promises: queryObjects(Promise, { format: "count" }),
    errors: queryObjects(Error, { format: "count" }),
  };
}
