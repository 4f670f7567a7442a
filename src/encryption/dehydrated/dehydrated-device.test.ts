import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makePair } from "#src/auth/issue-tokens.ts";
import { createDevice, enterDevice } from "#src/devices/create-device.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { deviceKeysOf, testDevice } from "../testing.ts";
import { dehydratedDevice, dehydrateDevice } from "./dehydrated-device.ts";

let servers: TestHomeservers;
let hs: Homeserver;
beforeAll(async () => {
  servers = await testHomeservers();
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

/** A device of a user, to be dehydrated. */
function sleeping(owner: Requester, deviceId: string, pickle: string) {
  return {
    deviceId,
    displayName: "sleeping",
    secrets: { pickle },
    keys: { device_keys: deviceKeysOf({ ...owner, deviceId }) },
  };
}

const devicesOf = async ({ userKey }: Requester) => {
  const rows = await hs.sql<{ id: string }[]>`
    select device_id as id from devices where user_key = ${userKey} order by device_key`;
  return rows.map((it) => it.id);
};

test("a dehydrated device is there as a whole or not at all", async () => {
  const alice = await testDevice(hs, "alice");
  await dehydrateDevice(hs, alice, sleeping(alice, "ONE", "first"));
  await hs.sql.unsafe(`
    create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'refused'; end $$;
    create trigger refusing before insert on dehydrated_devices for each row
      execute function refuse()`);
  const failing = dehydrateDevice(hs, alice, sleeping(alice, "TWO", "second"));
  await expect(failing).rejects.toThrow("refused");
  await hs.sql.unsafe("drop function refuse cascade");
  expect(await devicesOf(alice)).toEqual([alice.deviceId, "ONE"]);
  expect(await dehydratedDevice(hs, alice)).toMatchObject({ deviceId: "ONE" });
  // Nor is anything in the way of the same once more.
  await dehydrateDevice(hs, alice, sleeping(alice, "TWO", "second"));
  expect(await devicesOf(alice)).toEqual([alice.deviceId, "TWO"]);
});

test("a dehydrated device stays as it is if its new keys are refused", async () => {
  const bob = await testDevice(hs, "bob");
  const first = sleeping(bob, "ONE", "first");
  const keysOf = (body: string) => ({
    ...first.keys,
    one_time_keys: { "signed_curve25519:A": { key: body, signatures: {} } },
  });
  await dehydrateDevice(hs, bob, { ...first, keys: keysOf("a") });
  const taken = { ...first, secrets: { pickle: "second" }, keys: keysOf("b") };
  await expect(dehydrateDevice(hs, bob, taken)).rejects.toMatchObject({ status: 400 });
  const { secrets } = await dehydratedDevice(hs, bob);
  expect(JSON.parse(secrets)).toEqual({ pickle: "first" });
  expect(await devicesOf(bob)).toEqual([bob.deviceId, "ONE"]);
});

test("devices that are dehydrated at the same moment are each whole, and one stays", async () => {
  const carol = await testDevice(hs, "carol");
  const ids = Array.from({ length: 8 }, (_, index) => `D${index}`);
  await Promise.all(
    ids.map(async (id) => await dehydrateDevice(hs, carol, sleeping(carol, id, id))),
  );
  const { deviceId, secrets } = await dehydratedDevice(hs, carol);
  expect(JSON.parse(secrets)).toEqual({ pickle: deviceId });
  await dehydrateDevice(hs, carol, sleeping(carol, "LAST", "last"));
  expect(await devicesOf(carol)).toEqual([carol.deviceId, "LAST"]);
});

test("nobody is logged in on a device that is dehydrated with the same commit", async () => {
  const dave = await testDevice(hs, "dave");
  await hs.sql`insert into accounts (user_key, created_at_ms) values (${dave.userKey}, 0)`;
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const holding = hs.sql.begin(async (tx) => {
    await tx`select from positions where id = 1 for update`;
    await gate;
  });
  const { pair } = makePair(hs, { refreshable: false });
  const entering = async () =>
    await enterDevice(hs, dave, { deviceId: "BOTH" }, { pair, passwordHash: undefined });
  const dehydrating = async () => await dehydrateDevice(hs, dave, sleeping(dave, "BOTH", "both"));
  await sleep(100);
  // Both wait until this one is committed, and go together then.
  const before = createDevice(hs, dave, { deviceId: "BEFORE" });
  await sleep(100);
  const both = Promise.allSettled([entering(), dehydrating()]);
  await sleep(200);
  open();
  await Promise.all([holding, before]);
  const [entered, dehydrated] = await both;
  const isIn = entered.status === "fulfilled" && entered.value.isIn;
  expect([isIn, dehydrated.status]).not.toEqual([true, "fulfilled"]);
  expect(isIn || dehydrated.status === "fulfilled").toBe(true);
});
