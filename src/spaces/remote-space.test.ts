import { afterAll, expect, test } from "vitest";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { testHomeservers } from "#src/testing.ts";
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
