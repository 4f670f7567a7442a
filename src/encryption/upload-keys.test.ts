import { afterAll, expect, test } from "vitest";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import type { Requester } from "#src/kit/requester.ts";
import { present } from "#src/kit/testing.ts";
import { testHomeservers } from "#src/testing.ts";
import { KeyUpload } from "./key-schemas.ts";
import { storedKeys } from "./stored-keys.ts";
import { deviceKeysOf, oneTimeKeys, testDevice, testKey } from "./testing.ts";
import { uploadKeys } from "./upload-keys.ts";

const homeservers = await testHomeservers();
const { hs } = homeservers;
afterAll(async () => await homeservers.close());

const published = async (device: Requester) =>
  (await storedKeys(hs, new Map([[device.userId, []]]), device)).device_keys[device.userId]?.[
    device.deviceId
  ];

test("what is published is given back as it was signed", async () => {
  const device = await testDevice(hs, "alice");
  const keys = { ...deviceKeysOf(device), unsigned: { device_display_name: "Forged" } };
  await uploadKeys(hs, device, { device_keys: keys });
  expect(await published(device)).toEqual({ ...keys, unsigned: {} });
});

test("keys of another user or device are refused, and what clients ignore is not", async () => {
  const device = await testDevice(hs, "bob");
  const other = await testDevice(hs, "bob", "OTHER");
  const refused = (errcode: string) => expect.objectContaining({ errcode });
  await expect(uploadKeys(hs, device, { device_keys: deviceKeysOf(other) })).rejects.toEqual(
    refused("M_INVALID_PARAM"),
  );
  const good = deviceKeysOf(device);
  const unsigned = { ...good, signatures: {} };
  const forged = { ...good, algorithms: ["m.other"] };
  for (const device_keys of [unsigned, forged]) {
    await expect(uploadKeys(hs, device, { device_keys })).resolves.toBeDefined();
    expect(await published(device)).toEqual({ ...device_keys, unsigned: {} });
  }
  const { algorithms: _, ...incomplete } = good;
  expect(KeyUpload.safeParse({ device_keys: incomplete }).success).toBe(false);
});

test("keys that are absurdly large, or that nobody could sign, are refused", async () => {
  const device = await testDevice(hs, "hoarder");
  const large = "x".repeat(65_536);
  const tooLarge = expect.objectContaining({ errcode: "M_TOO_LARGE" });
  for (const upload of [
    { device_keys: { ...deviceKeysOf(device), "m.more": large } },
    { one_time_keys: { "signed_curve25519:A": { key: large } } },
    { one_time_keys: { "curve25519:A": large } },
    { fallback_keys: { "signed_curve25519:A": { key: large } } },
  ]) {
    await expect(uploadKeys(hs, device, upload)).rejects.toEqual(tooLarge);
  }
  const half = { one_time_keys: { "curve25519:A": "\ud800" } };
  await expect(uploadKeys(hs, device, half)).rejects.toMatchObject({ errcode: "M_BAD_JSON" });
  expect(await uploadKeys(hs, device, {})).toEqual({ signed_curve25519: 0 });
  expect(await published(device)).toBeUndefined();
});

test("one-time keys may come again, and an ID stays with its key", async () => {
  const device = await testDevice(hs, "carol");
  const keys = oneTimeKeys(["A", "B", "C"]);
  const { "signed_curve25519:A": _, ...some } = keys;
  expect(await uploadKeys(hs, device, { one_time_keys: some })).toEqual({ signed_curve25519: 2 });
  expect(await uploadKeys(hs, device, { one_time_keys: keys })).toEqual({ signed_curve25519: 3 });
  const resigned = {
    "signed_curve25519:B": { ...present(keys["signed_curve25519:B"]), signatures: { "@x:y": {} } },
  };
  expect(await uploadKeys(hs, device, { one_time_keys: resigned })).toEqual({
    signed_curve25519: 3,
  });

  const taken = { ...oneTimeKeys(["A", "D"]) };
  await expect(uploadKeys(hs, device, { one_time_keys: taken })).rejects.toMatchObject({
    errcode: "M_UNKNOWN",
    status: 400,
  });
  expect(await uploadKeys(hs, device, {})).toEqual({ signed_curve25519: 3 });
});

test("a device with another identity has none of the keys of the old one", async () => {
  const device = await testDevice(hs, "dan");
  const before = deviceKeysOf(device);
  await uploadKeys(hs, device, { device_keys: before, one_time_keys: oneTimeKeys(["A", "B"]) });
  expect(await uploadKeys(hs, device, { device_keys: before })).toEqual({ signed_curve25519: 2 });
  const after = deviceKeysOf(device, testKey(device.deviceId));
  const keys = { device_keys: after, one_time_keys: oneTimeKeys(["A"]) };
  expect(await uploadKeys(hs, device, keys)).toEqual({ signed_curve25519: 1 });
  expect(await published(device)).toMatchObject({ keys: after.keys });
});

test("a device that has been deleted meanwhile uploads nothing", async () => {
  const device = await testDevice(hs, "erin");
  await uploadKeys(hs, device, {
    device_keys: deviceKeysOf(device),
    one_time_keys: oneTimeKeys(["A"]),
  });
  await deleteDevices(hs, device, [device.deviceId]);
  await expect(uploadKeys(hs, device, { one_time_keys: oneTimeKeys(["B"]) })).rejects.toMatchObject(
    {
      errcode: "M_UNKNOWN_TOKEN",
    },
  );
  for (const table of ["device_keys", "one_time_keys", "key_supply_changes"]) {
    const rows = await hs.sql`select from ${hs.sql(table)} where device_key = ${device.deviceKey}`;
    expect({ table, count: rows.length }).toEqual({ table, count: 0 });
  }
});
