import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { testHomeservers } from "#src/testing.ts";
import { claimLocalKeys } from "./claim-keys.ts";
import { keyCountsOf } from "./key-counts.ts";
import { oneTimeKeys, testDevice } from "./testing.ts";
import { uploadKeys } from "./upload-keys.ts";

const homeservers = await testHomeservers(2);
const [one, two] = homeservers.all as [Homeserver, Homeserver];
afterAll(async () => await homeservers.close());

const ALGORITHM = "signed_curve25519";

async function claim(hs: Homeserver, userId: `@${string}:${string}`, deviceId = "DEVICE") {
  const claimed = await claimLocalKeys(hs, new Map([[userId, { [deviceId]: ALGORITHM }]]));
  return Object.keys(claimed[userId]?.[deviceId] ?? {})[0];
}

test("each key goes to one of many who claim at once, in two processes, and the fallback key to the others", async () => {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 0, max: 30 }),
      fc.boolean(),
      async (claimers, keyCount, hasFallback) => {
        const device = await testDevice(one, `claimed${count++}`);
        const names = Array.from({ length: keyCount }, (_, index) => `K${index}`);
        await uploadKeys(one, device, {
          one_time_keys: oneTimeKeys(names),
          ...(hasFallback && { fallback_keys: oneTimeKeys(["F"]) }),
        });
        const claimed = await Promise.all(
          claimers.map(async (isOne) => await claim(isOne ? one : two, device.userId)),
        );
        const others = claimed.filter((it) => it === (hasFallback ? `${ALGORITHM}:F` : undefined));
        expect(others).toHaveLength(Math.max(0, claimers.length - keyCount));
        const got = claimed.filter((it) => it !== undefined && it !== `${ALGORITHM}:F`);
        expect(got).toHaveLength(Math.min(claimers.length, keyCount));
        expect(new Set(got).size).toBe(got.length);
        const { device_one_time_keys_count: left } = await keyCountsOf(one, device.deviceKey);
        expect(left[ALGORITHM]).toBe(keyCount - got.length);
      },
    ),
    { numRuns: 15 },
  );
});

test("keys are handed out in the order of their upload, then the fallback key again and again", async () => {
  const device = await testDevice(one, "ordered");
  await uploadKeys(one, device, { one_time_keys: oneTimeKeys(["B"]) });
  await uploadKeys(two, device, {
    one_time_keys: oneTimeKeys(["A"]),
    fallback_keys: oneTimeKeys(["F"]),
  });
  const claimed = [];
  for (const hs of [one, two, one, two]) claimed.push(await claim(hs, device.userId));
  expect(claimed).toEqual(["B", "A", "F", "F"].map((it) => `${ALGORITHM}:${it}`));
});

test("the fallback key counts as unused until it is claimed, in every process", async () => {
  const device = await testDevice(one, "fallback");
  const unused = async (hs: Homeserver) =>
    (await keyCountsOf(hs, device.deviceKey)).device_unused_fallback_key_types;
  const first = oneTimeKeys(["F"]);
  await uploadKeys(one, device, { fallback_keys: first });
  await expect.poll(async () => await unused(two)).toEqual([ALGORITHM]);
  await claim(one, device.userId);
  expect(await unused(one)).toEqual([]);
  await expect.poll(async () => await unused(two)).toEqual([]);

  await uploadKeys(one, device, { fallback_keys: first });
  expect(await unused(one)).toEqual([]);
  await uploadKeys(one, device, { fallback_keys: oneTimeKeys(["G"]) });
  expect(await unused(one)).toEqual([ALGORITHM]);
});

test("of devices without keys, unknown ones and unknown users nothing is claimed", async () => {
  const device = await testDevice(one, "bare");
  expect(await claimLocalKeys(one, new Map([[device.userId, { DEVICE: ALGORITHM }]]))).toEqual({});
  expect(await claimLocalKeys(one, new Map([[device.userId, { OTHER: ALGORITHM }]]))).toEqual({});
  expect(await claimLocalKeys(one, new Map([["@nobody:test", { X: ALGORITHM }]]))).toEqual({});
});

test("a key that has been handed out is not handed out again when its client, which has not heard, uploads it again", async () => {
  const device = await testDevice(one, "unheard");
  const keys = oneTimeKeys(["A", "B"]);
  await uploadKeys(one, device, { one_time_keys: keys });
  expect(await claim(two, device.userId)).toBe(`${ALGORITHM}:A`);
  const counts = await uploadKeys(one, device, { one_time_keys: keys });
  expect(counts[ALGORITHM]).toBe(1);
  expect(await claim(two, device.userId)).toBe(`${ALGORITHM}:B`);
  expect(await claim(two, device.userId)).toBeUndefined();

  // Whoever has begun anew may give another key the same name.
  await uploadKeys(two, device, { one_time_keys: oneTimeKeys(["A"]) });
  expect(await claim(one, device.userId)).toBe(`${ALGORITHM}:A`);
});

test("what was handed out long ago is forgotten when its device uploads something", async () => {
  const device = await testDevice(one, "forgotten");
  await uploadKeys(one, device, { one_time_keys: oneTimeKeys(["A", "B"]) });
  await claim(one, device.userId);
  await one.sql`update claimed_keys set claimed_at_ms = 0 where device_key = ${device.deviceKey}`;
  await claim(one, device.userId);
  await uploadKeys(one, device, { one_time_keys: oneTimeKeys(["C"]) });
  const left = await one.sql<{ key_id: string }[]>`
    select key_id from claimed_keys where device_key = ${device.deviceKey}`;
  expect(left.map((it) => it.key_id)).toEqual(["B"]);
});
