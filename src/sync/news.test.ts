import { afterAll, beforeAll, expect, test } from "vitest";
import { changeAccount } from "#src/auth/accounts-stream.ts";
import { findAccount } from "#src/auth/find-account.ts";
import { registry } from "#src/homeserver/metrics.ts";
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

const SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/** That who waits is there would be news as well. */
const OFFLINE = "set_presence=offline";

/** Begins to wait for news on one of the ways there are, and says when it does. */
async function waitingBy(way: "sync" | "events" | "sliding", token: string) {
  if (way === "sliding") {
    const lists = { all: { ranges: [[0, 9]], timeline_limit: 5, required_state: [] } };
    const { body } = await ask<{ pos: string }>("POST", `${SLIDING}?${OFFLINE}`, {
      token,
      body: { lists },
    });
    const waiting = ask("POST", `${SLIDING}?${OFFLINE}&pos=${body.pos}&timeout=30000`, {
      token,
      body: { lists },
    });
    return { waiting };
  }
  const { next_batch: since } = (await ask("GET", `sync?${OFFLINE}`, { token })).body;
  const name = way === "sync" ? "since" : "from";
  return { waiting: ask("GET", `${way}?${OFFLINE}&${name}=${since}&timeout=30000`, { token }) };
}

const somebodyWaits = async () =>
  await expect
    .poll(async () => await registry.getSingleMetricAsString("archipel_sync_waiting"), {
      timeout: 20_000,
    })
    .toMatch(/ 1$/m);

test.each([
  ["sync", "logged out", "M_UNKNOWN_TOKEN"],
  ["sync", "locked", "M_USER_LOCKED"],
  ["events", "locked", "M_USER_LOCKED"],
  ["sliding", "logged out", "M_UNKNOWN_TOKEN"],
  ["sliding", "locked", "M_USER_LOCKED"],
] as const)("who waits by %s and is %s meanwhile is told nothing", async (way, end, errcode) => {
  const name = `${way}-${end.replace(" ", "-")}`;
  const alice = await registered(ask, `alice-${name}`);
  const bob = (await registered(ask, `bob-${name}`)).access_token;
  const body = { preset: "public_chat", invite: [alice.user_id] };
  const { room_id: roomId } = (await ask("POST", "createRoom", { token: bob, body })).body;
  await ask("POST", `join/${roomId}`, { token: alice.access_token, body: {} });
  const { waiting } = await waitingBy(way, alice.access_token);
  await somebodyWaits();
  if (end === "locked") {
    const account = await findAccount(servers.hs, alice.user_id);
    await changeAccount(servers.hs, account?.userKey ?? 0, { isLocked: true });
  } else await ask("POST", "logout", { token: alice.access_token });
  const said = { msgtype: "m.text", body: "secret" };
  await ask("PUT", `rooms/${roomId}/send/m.room.message/1`, { token: bob, body: said });
  expect(await waiting).toMatchObject({ status: 401, body: { errcode } });
});
