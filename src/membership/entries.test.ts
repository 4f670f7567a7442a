import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { entriesOver, oneByOne, unlessEntered } from "./entries.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

const roomId = "!far:away.test" as RoomId;

test("a room is entered by one user at a time, in whatever process, also after one has failed", async () => {
  let inside = 0;
  const most: number[] = [];
  const enter = (on: Homeserver, fails: boolean) =>
    oneByOne(on, roomId, async () => {
      most.push(++inside);
      await new Promise((resolve) => setTimeout(resolve, 30));
      inside--;
      if (fails) throw new Error("it was closed");
    }).catch(() => "failed");
  const all = [hs, other, hs, other].map((on, index) => enter(on, index === 0));
  expect(await Promise.all(all)).toEqual(["failed", undefined, undefined, undefined]);
  expect(most).toEqual([1, 1, 1, 1]);
  expect(await hs.sql`select from room_entries`).toHaveLength(0);
});

test("whoever waits for it waits for other processes too", async () => {
  expect(await entriesOver(other, [roomId], 10_000)).toBe(false);
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const entry = oneByOne(hs, roomId, async () => {
    begun.resolve();
    await gate.promise;
  });
  await begun.promise;
  expect(await entriesOver(other, [roomId], 100)).toBe(true);
  let isOver = false;
  const waiting = entriesOver(other, ["!other:away.test" as RoomId, roomId], 60_000);
  void waiting.then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(isOver).toBe(false);
  gate.resolve();
  expect(await waiting).toBe(true);
  await entry;
  expect(await entriesOver(other, [roomId], 10_000)).toBe(false);
});

test("what is done only if nobody enters is not done while somebody does, and then waited for", async () => {
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const act = async () => {
    order.push("act");
    await gate.promise;
    order.push("done");
  };
  await oneByOne(hs, roomId, async () => {
    expect(await unlessEntered(other, roomId, act)).toBe(false);
  });
  const acting = unlessEntered(other, roomId, act);
  await expect.poll(() => order).toEqual(["act"]);
  const entry = oneByOne(hs, roomId, async () => {
    order.push("enter");
    await Promise.resolve();
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  gate.resolve();
  expect(await acting).toBe(true);
  await entry;
  expect(order).toEqual(["act", "done", "enter"]);
  expect(await hs.sql`select from room_entries`).toHaveLength(0);
});

test("nobody waits for a process that has died", async () => {
  await hs.sql`insert into room_entries (room_id, holder, until_ms) values (${roomId}, 'dead', 1)`;
  expect(await entriesOver(other, [roomId], 10_000)).toBe(false);
  await oneByOne(other, roomId, async () => await Promise.resolve());
  expect(await hs.sql`select from room_entries`).toHaveLength(0);
});
