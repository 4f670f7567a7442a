import { afterAll, expect, test } from "vitest";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { testHomeservers } from "#src/testing.ts";
import { claimKeys } from "./claim-keys.ts";
import { queryKeys } from "./query-keys.ts";
import { testDevice } from "./testing.ts";

const homes = await testHomeservers(1);
afterAll(async () => await homes.close());

test("one request has us ask so many servers and no more", async () => {
  const { hs } = homes;
  let asked = 0;
  const silent = async (_server: ServerName) => {
    asked++;
    return await Promise.resolve({ ok: false, why: "unreachable", cause: "nobody" } as const);
  };
  const remotes = { ...hs.remotes, getUserDevices: silent, claimUserEncryptionKeys: silent };
  const lonely = { ...hs, remotes };
  const alice = await testDevice(hs, "alice");
  const users = Array.from({ length: 600 }, (_, n): UserId => `@user:server${n}.test`);
  const device_keys = Object.fromEntries(users.map((it) => [it, []]));
  const { failures } = await queryKeys(lonely, alice, { device_keys });
  expect(asked).toBe(500);
  expect(Object.keys(failures)).toHaveLength(600);
  const one_time_keys = Object.fromEntries(users.map((it) => [it, { D: "signed_curve25519" }]));
  const claimed = await claimKeys(lonely, { one_time_keys });
  expect(asked).toBe(1_000);
  expect(Object.keys(claimed.failures)).toHaveLength(600);
});
