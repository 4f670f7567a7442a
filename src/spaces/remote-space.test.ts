import { afterAll, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { readHierarchy } from "./read-hierarchy.ts";
import { remoteSpace } from "./remote-space.ts";

const homes = await testHomeservers(1);
afterAll(async () => await homes.close());

test("what servers tell that one client names is not what others are told who name others", async () => {
  const { hs } = homes;
  const roomId: RoomId = "!room:true.test";
  const common = { num_joined_members: 1, world_readable: true, guest_can_join: false };
  const getSpaceHierarchy = async (server: ServerName) => {
    if (server === "silent.test") {
      return await Promise.resolve({ ok: false, why: "unreachable", cause: "nobody" } as const);
    }
    const room = { ...common, room_id: roomId, name: `by ${server}` };
    const body = { room, children: [], inaccessible_children: [] };
    return await Promise.resolve({ ok: true, body } as const);
  };
  const outside = { ...hs, remotes: { ...hs.remotes, getSpaceHierarchy } };
  const nameBy = async (server: string) =>
    (await remoteSpace(outside, roomId, [parseServerName(server)]))?.room.summary.name;
  expect(await nameBy("silent.test")).toBeUndefined();
  expect(await nameBy("evil.test")).toBe("by evil.test");
  expect(await nameBy("true.test")).toBe("by true.test");
});

/** A homeserver that is told of every room that it is a space, of so many characters, and by what it is asked. */
function toldLongWinded(length: number) {
  const { hs } = homes;
  const asked: RoomId[] = [];
  const filler = "x".repeat(length);
  const getSpaceHierarchy: Remotes["getSpaceHierarchy"] = async (_server, { roomId }, options) => {
    asked.push(roomId);
    await options?.memory?.take(length);
    const common = { num_joined_members: 1, world_readable: true, guest_can_join: false };
    const room = { ...common, room_id: roomId, room_type: "m.space", topic: filler };
    const body = { room, children: [], inaccessible_children: [] };
    return await Promise.resolve({ ok: true, body } as const);
  };
  return { asked, outside: { ...hs, remotes: { ...hs.remotes, getSpaceHierarchy } } };
}

test("of what servers tell at length not very much is remembered", async () => {
  const { asked, outside } = toldLongWinded(4_000_000);
  const via = [parseServerName("windy.test")];
  for (let at = 0; at < 20; at++) await remoteSpace(outside, `!room${at}:windy.test`, via);
  expect(asked).toHaveLength(20);
  await remoteSpace(outside, "!room19:windy.test", via);
  expect(asked).toHaveLength(20);
  await remoteSpace(outside, "!room0:windy.test", via);
  expect(asked).toHaveLength(21);
});

test("who looks at a space is told by other servers only so much", async () => {
  const { asked, outside } = toldLongWinded(4_000_000);
  const alice = await testUser(homes.hs, "alice");
  const children = Array.from({ length: 60 }, (_, at) => `!child${at}:windy.test`);
  const roomId = await createRoom(homes.hs, alice, {
    creation_content: { type: "m.space" },
    initial_state: children.map((it) => ({
      type: "m.space.child",
      state_key: it,
      content: { via: ["windy.test"] },
    })),
  });
  const question = { roomId, suggestedOnly: false, limit: 100, maxDepth: 5, offset: 0 };
  const { rooms } = await readHierarchy(outside, alice, question);
  expect(asked).toHaveLength(10);
  expect(rooms).toHaveLength(11);
});
