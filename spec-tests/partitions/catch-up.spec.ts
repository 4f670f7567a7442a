import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";
import { testAuthority } from "#src/outbound/testing.ts";
import { demand } from "../faults/call.ts";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import { Dice } from "../oracle/dice.ts";
import type { TestUser } from "../test-user.ts";
import { FaultyNetwork } from "./faulty-network.ts";

/** A thousand messages; fewer where a test run is waited for. */
const ROOMS = 5;
const MESSAGES_EACH = process.env["CI"] ? 200 : 12;

/** What is missed arrives within seconds; this is for a machine with much else to do. */
const SOON_MS = 45_000;

/** As long as it may take until another process takes on what a killed one has left, and longer. */
const TAKEN_ON_MS = 90_000;

const closes: (() => unknown)[] = [];

/** Two processes of one homeserver, which sends, and another homeserver. */
let senders: HomeserverUnderTest[];
let receiver: HomeserverUnderTest;
let network: FaultyNetwork;
let sender: TestUser;
let reader: TestUser;
let roomIds: string[];
let sent = 0;

describe.skipIf(isOutside)("what a server has missed", () => {
  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), "archipel-catch-up-"));
    closes.push(() => rmSync(directory, { recursive: true, force: true }));
    const authority = testAuthority(directory);
    network = new FaultyNetwork(authority, new Dice(1));
    closes.push(async () => await network.close());
    const log = pino({ level: "warn" }, pino.destination(2));
    const postgres = await startEmbeddedPostgres({ dataDir: directory, log });
    closes.push(async () => await postgres.stop());

    const start = async (name: string, more: Readonly<Record<string, string>> = {}) => {
      const env = { SERVER_NAME: name, CA_CERT: authority.caFile, ...more };
      const server = await startHomeserver({ env });
      closes.push(async () => await server.dispose());
      return server;
    };
    const [sending, receiving] = [await network.open(), await network.open()];
    const first = await start(sending, { DATABASE_URL: postgres.url });
    const second = await start(sending, { DATABASE_URL: postgres.url });
    senders = [first, second];
    network.lead(sending, first.url);
    receiver = await start(receiving);
    network.lead(receiving, receiver.url);

    sender = await first.registerUser("sender");
    reader = await receiver.registerUser("reader");
    const rooms = Array.from({ length: ROOMS }, async () => {
      const roomId = await sender.createRoom({ preset: "public_chat" });
      const path = `/v3/join/${encodeURIComponent(roomId)}?via=${sending}`;
      await demand(receiver.url, { method: "POST", path, token: reader.accessToken, body: {} });
      return roomId;
    });
    roomIds = await Promise.all(rooms);
  }, 120_000);

  afterAll(async () => {
    for (const close of closes.splice(0).reverse()) await close();
  });

  test("arrives in its order within seconds of its return", async () => {
    await receiver.stop();
    const missed = await say(MESSAGES_EACH);
    await receiver.start();
    // Its first sign of life.
    await reader.call("PUT", `${pathOf(roomIds[0] ?? "")}/typing/${reader.userId}`, {
      typing: true,
      timeout: 1_000,
    });
    expect(await whatHasCome(missed, SOON_MS)).toEqual(missed);
  }, 120_000);

  test("arrives in its order though processes on both sides are killed meanwhile", async () => {
    await receiver.kill();
    const missed = await say(MESSAGES_EACH);
    await receiver.start();
    await untilSomeHaveCome(missed);
    await receiver.kill();
    await receiver.start();
    await untilSomeHaveCome(missed);
    // Whichever of the two has the other server to care for, it is killed.
    for (const it of senders) {
      await it.kill();
      await it.start();
    }
    expect(await whatHasCome(missed, TAKEN_ON_MS)).toEqual(missed);
  }, 240_000);
});

/** Sends so many messages to each room, by either process. @returns their IDs by room, in order. */
async function say(count: number): Promise<Map<string, string[]>> {
  const all = roomIds.map(async (roomId) => {
    const eventIds: string[] = [];
    for (let n = 0; n < count; n++) {
      const { url } = senders[n % senders.length] ?? {};
      const path = `${pathOf(roomId)}/send/m.room.message/m${++sent}`;
      const body = { msgtype: "m.text", body: `no. ${n}` };
      const token = sender.accessToken;
      const answer = await demand(url ?? "", { method: "PUT", path, token, body });
      eventIds.push(answer.event_id);
    }
    return [roomId, eventIds] as const;
  });
  return new Map(await Promise.all(all));
}

/** What the other server shows of the newest events of a room, oldest first. */
async function shown(roomId: string, count: number): Promise<string[]> {
  const path = `${pathOf(roomId)}/messages?dir=b&limit=${count}`;
  const { body } = await reader.call("GET", path);
  return body.chunk.map((it: { event_id: string }) => it.event_id).toReversed();
}

/** What of each room is shown in the end, when the last of each has come, or the time is over. */
async function whatHasCome(
  missed: ReadonlyMap<string, string[]>,
  withinMs: number,
): Promise<Map<string, string[]>> {
  const deadline = performance.now() + withinMs;
  const come = new Map<string, string[]>();
  for (const [roomId, eventIds] of missed) {
    const hasCome = async () => (await shown(roomId, 1)).at(-1) === eventIds.at(-1);
    while (!(await hasCome()) && performance.now() < deadline) await sleep(50);
    come.set(roomId, await shown(roomId, eventIds.length));
  }
  return come;
}

async function untilSomeHaveCome(missed: Map<string, string[]>): Promise<void> {
  const all = new Set([...missed.values()].flat());
  const hasCome = async () => {
    for (const roomId of roomIds) {
      if ((await shown(roomId, 10)).some((it) => all.has(it))) return true;
    }
    return false;
  };
  const deadline = performance.now() + SOON_MS;
  while (!(await hasCome())) {
    if (performance.now() > deadline) throw new Error("nothing has come");
    await sleep(20);
  }
}

function pathOf(roomId: string): string {
  return `/v3/rooms/${encodeURIComponent(roomId)}`;
}
