import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import { Dice } from "../oracle/dice.ts";
import type { TestUser } from "../test-user.ts";
import { demand } from "./call.ts";
import { Follower } from "./follower.ts";
import { idsOf, type Read, walkRoom } from "./walk-room.ts";

let server: HomeserverUnderTest;
let reader: TestUser;
let senders: TestUser[];

beforeAll(async () => {
  server = await startHomeserver();
  reader = await server.registerUser("reader");
  senders = await Promise.all(
    Array.from({ length: 5 }, async () => await server.registerUser("sender")),
  );
}, 120_000);
afterAll(async () => await server.dispose());

const read: Read = async (path) =>
  await demand(server.url, { method: "GET", path, token: reader.accessToken });

let txnCount = 0;

/** @returns the event's ID */
async function send(user: TestUser, roomId: string): Promise<string> {
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${++txnCount}`;
  const body = { msgtype: "m.text", body: `message ${txnCount}` };
  const sent = await demand(server.url, { method: "PUT", path, token: user.accessToken, body });
  return sent.event_id;
}

/** The pause of each between two messages: those who read must be able to catch up with those who send. */
const PAUSE_MS = 30;

/** Has all send at once and on until told to stop. @returns what stops them, and gives the IDs of what they sent */
function keepSending(roomId: string): () => Promise<string[]> {
  let isOver = false;
  const sending = senders.map(async (user) => {
    const sent: string[] = [];
    while (!isOver) {
      sent.push(await send(user, roomId));
      await sleep(PAUSE_MS);
    }
    return sent;
  });
  return async () => {
    isOver = true;
    return (await Promise.all(sending)).flat();
  };
}

/** A room that all are joined to. */
async function makeRoom(): Promise<string> {
  const roomId = await reader.createRoom({ preset: "public_chat" });
  for (const user of senders) {
    const path = `/v3/join/${encodeURIComponent(roomId)}`;
    await demand(server.url, { method: "POST", path, token: user.accessToken, body: {} });
  }
  return roomId;
}

type RoomOfAKind = {
  /** How its events came to be there. */
  readonly kind: string;
  /** @returns the IDs of the events that were put into it by name. */
  readonly fill: (roomId: string) => Promise<string[]>;
};

/** Rooms whose history has different shapes. One with forks has its events from other servers. */
const ROOMS: readonly RoomOfAKind[] = [
  {
    kind: "one sender",
    fill: async (roomId) => {
      const sent: string[] = [];
      for (let count = 0; count < 12; count++) sent.push(await send(reader, roomId));
      return sent;
    },
  },
  {
    kind: "concurrent senders",
    fill: async (roomId) => {
      const all = senders.flatMap((user) => [user, user, user, user]);
      return await Promise.all(all.map(async (user) => await send(user, roomId)));
    },
  },
];

describe.each(ROOMS)("the history of a room with $kind", ({ fill }) => {
  test("has every event on exactly one page, whatever their size and direction", async () => {
    const roomId = await makeRoom();
    const sent = await fill(roomId);
    const whole = idsOf(await walkRoom(read, roomId, { direction: "f", limit: () => 1_000 }));
    expect(new Set(whole).size).toBe(whole.length);
    expect(sent.filter((it) => !whole.includes(it))).toEqual([]);
    for (let size = 1; size <= whole.length + 1; size++) {
      const limit = () => size;
      expect(idsOf(await walkRoom(read, roomId, { direction: "f", limit }))).toEqual(whole);
      const back = idsOf(await walkRoom(read, roomId, { direction: "b", limit }));
      expect(back.reverse()).toEqual(whole);
    }
  }, 60_000);

  test("has every event on exactly one page while others send", async () => {
    const roomId = await makeRoom();
    const sent = await fill(roomId);
    const stop = keepSending(roomId);
    const backwards: string[][] = [];
    const forwards: string[][] = [];
    try {
      for (const size of [1, 3, 8, 21, 100]) {
        const limit = () => size;
        backwards.push(idsOf(await walkRoom(read, roomId, { direction: "b", limit })).reverse());
        // One who reads single events would never catch up.
        if (size < 8) continue;
        forwards.push(idsOf(await walkRoom(read, roomId, { direction: "f", limit })));
      }
    } finally {
      sent.push(...(await stop()));
    }
    const whole = idsOf(await walkRoom(read, roomId, { direction: "f", limit: () => 7 }));
    expect(new Set(whole).size).toBe(whole.length);
    expect(sent.filter((it) => !whole.includes(it))).toEqual([]);
    // Each is the room's beginning up to some moment: nothing is left out, twice or elsewhere.
    for (const walk of [...backwards, ...forwards]) {
      expect(walk).toEqual(whole.slice(0, walk.length));
    }
    expect(backwards.every((it, index) => it.length >= (backwards[index - 1]?.length ?? 0))).toBe(
      true,
    );
  }, 60_000);
});

describe("sync, its gaps filled from prev_batch", () => {
  test("tells every event exactly once while others send", async () => {
    const roomId = await makeRoom();
    const device = { ...reader, token: reader.accessToken };
    const followers = [1, 2, 3].map((seed) => new Follower([server.url], device, new Dice(seed)));
    let isOver = false;
    const following = followers.map(async (it) => await it.followUntil(() => isOver));
    const stop = keepSending(roomId);
    await sleep(1_500);
    const sent = await stop();
    isOver = true;
    await Promise.all(following);
    const whole = idsOf(await walkRoom(read, roomId, { direction: "f", limit: () => 50 }));
    expect(sent.filter((it) => !whole.includes(it))).toEqual([]);
    for (const follower of followers) {
      await follower.finish();
      expect(follower.timelines.get(roomId)).toEqual(whole);
    }
  }, 60_000);
});

describe.skipIf(isOutside)("after a restart", () => {
  test("places that were given before it are places still", async () => {
    const roomId = await makeRoom();
    for (let count = 0; count < 5; count++) await send(reader, roomId);
    const page = `/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=3`;
    const { end, chunk } = await read(page);
    await server.kill();
    await server.start();
    await send(reader, roomId);
    const rest = await walkRoom(read, roomId, { direction: "b", limit: () => 2, from: end });
    const whole = idsOf(await walkRoom(read, roomId, { direction: "b", limit: () => 100 }));
    expect([...idsOf(chunk), ...idsOf(rest)]).toEqual(whole.slice(1));
  }, 60_000);
});
