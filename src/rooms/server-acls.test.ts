import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { currentStateRoot } from "./current-state.ts";
import { findRoom } from "./find-room.ts";
import { statesDenying } from "./server-acls.ts";

let servers: TestHomeservers;
let hs: Homeserver;
beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

/** As many globs as an event has room for, of those that take longest. */
const GLOBS = Array.from({ length: 9_000 }, (_, index) => `?${index.toString(36)}`);

test("a list that is full of globs is gone through once for a server, and not with each event of its", async () => {
  const alice = await testUser(hs, "alice");
  const roomId = await createRoom(hs, alice, {
    initial_state: [
      {
        type: "m.room.server_acl",
        state_key: "",
        content: { allow: ["*"], deny: [...GLOBS, "?enied.test"] },
      },
    ],
  });
  const room = await findRoom(hs, roomId);
  const root = await currentStateRoot(hs, room?.roomKey ?? 0);
  const isDenied = async (server: string) => (await statesDenying(hs, [root], server)).has(root);
  const msFor = async (times: number) => {
    const begun = performance.now();
    for (let time = 0; time < times; time++) {
      expect(await isDenied("welcome.test")).toBe(false);
      expect(await isDenied("denied.test")).toBe(true);
    }
    return performance.now() - begun;
  };
  const first = await msFor(1);
  // Of several, since anything else may run at the moment.
  const times = [await msFor(100), await msFor(100), await msFor(100)];
  expect(Math.min(...times)).toBeLessThan(20 * first);
});
