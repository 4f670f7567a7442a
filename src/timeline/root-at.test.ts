import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { allStateAt } from "#src/rooms/current-state.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { joinedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { rootAt } from "./root-at.ts";

let servers: TestHomeservers;
let hs: Homeserver;
beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

const BEGINNING = { anchor: 0, offset: 0 };

async function membersAtBeginning(roomKey: number): Promise<(string | undefined)[]> {
  const state = await allStateAt(hs, await rootAt(hs, roomKey, BEGINNING));
  return state.filter((it) => it.type === "m.room.member").map((it) => it.stateKey);
}

test("before our first event of a room of others, its state is what that was sent into", async () => {
  const creator: UserId = "@creator:one.test";
  const local: UserId = "@local:test";
  const remote = new RemoteRoom("12", "root-at");
  const joined = remote.add(local, memberDraft(local, "join"), [remote.begin(creator)]);
  const room = await joinedRoom(hs, remote, joined);
  expect(await membersAtBeginning(room.roomKey)).toEqual([creator]);
});

test("before there was a room, its members are who made it", async () => {
  const alice = await testUser(hs, "alice");
  const roomId = await createRoom(hs, alice, { invite: ["@bob:test"] });
  const room = await findRoom(hs, roomId);
  expect(await membersAtBeginning(room?.roomKey ?? 0)).toEqual([alice.userId]);
});

test("a room of which nothing is here has no state", async () => {
  expect(await rootAt(hs, 0, BEGINNING)).toBe(0);
});
