import { afterAll, beforeAll, expect, test } from "vitest";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { findSlots, pairKey, slotsOf } from "./state-slots.ts";
import { findUserKeys } from "./user-keys.ts";

let servers: TestHomeservers;
beforeAll(async () => void (servers = await testHomeservers(1)));
afterAll(async () => await servers.close());

test("what has a NUL in its name is nowhere, and keeps nobody from finding the rest", async () => {
  const { hs } = servers;
  const { userId, userKey } = await testUser(hs, "alice");
  const slot = (await slotsOf(hs, [["org.example", "here"]])).get(pairKey("org.example", "here"));
  expect(slot).toBeDefined();
  const found = await findSlots(hs, [
    ["org.example", "he\0re"],
    ["org.exa\0mple", "here"],
    ["org.example", "here"],
  ]);
  expect([...found]).toEqual([[pairKey("org.example", "here"), slot]]);
  expect([...(await findUserKeys(hs, ["@a\0b:test", userId]))]).toEqual([[userId, userKey]]);
});
