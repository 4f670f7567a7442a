import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Ask } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { type TestHomeservers, testHomeservers } from "#src/testing.ts";
import { heardFrom } from "./heard-from.ts";
import { sparingAbsent } from "./spare-absent.ts";

let servers: TestHomeservers;
/** With a clock of the test's. */
let hs: Homeserver;
let now = Date.now();
let asked = 0;
let isThere = false;
let names = 0;
let server: ServerName;

beforeAll(async () => {
  servers = await testHomeservers(1);
  hs = { ...servers.hs, now: () => now };
});
afterAll(async () => await servers.close());
beforeEach(() => {
  asked = 0;
  isThere = false;
  server = `away${names++}.test` as ServerName;
});

/** A server that answers only while it is there. */
const there: Ask<undefined, string> = async () => {
  asked++;
  return await Promise.resolve(
    isThere
      ? { ok: true, body: "yes" }
      : { ok: false, why: "unreachable", cause: new Error("refused") },
  );
};

function asking(timeoutMs?: number) {
  return async () =>
    (await sparingAbsent(hs, there)(server, undefined, timeoutMs ? { timeoutMs } : {})).ok;
}

test("a server that does not answer is left alone for a while, longer each time", async () => {
  const ask = asking();
  expect(await ask()).toBe(false);
  expect(await ask()).toBe(false);
  expect(asked).toBe(1);
  now += 5_000;
  expect(await ask()).toBe(false);
  now += 5_000;
  expect(await ask()).toBe(false);
  expect(asked).toBe(2);
  now += 60_000;
  isThere = true;
  expect(await ask()).toBe(true);
});

test("one is spared no longer since the clock is set back", async () => {
  const ask = asking();
  await ask();
  now -= 7_200_000;
  isThere = true;
  expect(await ask()).toBe(true);
  now += 7_200_000;
});

test("one that is heard of is asked at once, and has no past", async () => {
  const ask = asking();
  await ask();
  isThere = true;
  expect(await ask()).toBe(false);
  heardFrom(hs, server);
  expect(await ask()).toBe(true);
  isThere = false;
  await ask();
  now += 5_000;
  await ask();
  expect(asked).toBe(4);
});

test("who is in a hurry cannot have it left alone", async () => {
  const ask = asking(100);
  await ask();
  await ask();
  expect(asked).toBe(2);
});

test("once it has been left alone long enough, one asks it, and nobody waits for that", async () => {
  const ask = asking();
  await ask();
  now += 5_000;
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const slow: typeof there = async (...question) => {
    await answered;
    return await there(...question);
  };
  const first = sparingAbsent(hs, slow)(server, undefined);
  expect(await ask()).toBe(false);
  expect(asked).toBe(1);
  isThere = true;
  answer();
  expect((await first).ok).toBe(true);
  expect(await ask()).toBe(true);
});

test("one that says too much is there", async () => {
  const tooMuch: Ask<undefined, string> = async () => {
    const cause = new OutboundError("too-large", "too much");
    return await Promise.resolve({ ok: false, why: "unreachable", cause });
  };
  await sparingAbsent(hs, tooMuch)(server, undefined);
  isThere = true;
  expect(await asking()()).toBe(true);
});
