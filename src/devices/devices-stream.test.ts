import { afterAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { createDevice } from "./create-device.ts";
import { deleteDevices } from "./delete-devices.ts";
import { devicesStream } from "./devices-stream.ts";

const homeservers = await testHomeservers(2);
const [one, two] = homeservers.all as [Homeserver, Homeserver];
afterAll(async () => await homeservers.close());

test("a device that is made again goes on with its key and name", async () => {
  const user = await testUser(one, "again");
  const first = await createDevice(one, user, { deviceId: "PHONE", displayName: "Phone" });
  const second = await createDevice(two, user, { deviceId: "PHONE", displayName: "Other" });
  expect(second).toEqual({ ...first, isNew: false });
  const [row] =
    await one.sql`select display_name from devices where device_key = ${first.deviceKey}`;
  expect(row?.["display_name"]).toBe("Phone");
});

test("each device without an ID gets one of its own", async () => {
  const user = await testUser(one, "many");
  const made = await Promise.all(
    Array.from({ length: 20 }, async () => await createDevice(one, user)),
  );
  expect(new Set(made.map((it) => it.deviceId)).size).toBe(20);
  expect(new Set(made.map((it) => it.deviceKey)).size).toBe(20);
});

test("deletions spare the exception, and other processes hear of them", async () => {
  const user = await testUser(one, "deleting");
  const other = await testUser(one, "bystander");
  const kept = await createDevice(one, user, { deviceId: "KEPT" });
  const gone = await createDevice(one, user, { deviceId: "GONE" });
  await createDevice(one, other, { deviceId: "GONE" });
  const before = tailOf(one).position;

  expect(await deleteDevices(one, user, "all", { except: "KEPT" })).toBe(1);

  const left = await one.sql`
    select device_key from devices where user_key in (${user.userKey}, ${other.userKey}) and device_id = 'GONE'`;
  expect(left).toHaveLength(1);
  expect(await one.sql`select from devices where device_key = ${kept.deviceKey}`).toHaveLength(1);
  const told = { stream: "devices", userKey: user.userKey, deviceKey: gone.deviceKey };
  const heard = await devicesStream.changesBetween(two.sql, before, tailOf(one).position);
  expect(heard).toEqual([expect.objectContaining({ ...told, detail: { deleted: true } })]);
  expect(tailOf(one).between(before, tailOf(one).position)).toContainEqual(heard[0]);
});

test("deleting nothing is no change", async () => {
  const user = await testUser(one, "nothing");
  const before = tailOf(one).position;
  expect(await deleteDevices(one, user, ["NOWHERE"])).toBe(0);
  expect(tailOf(one).between(before, tailOf(one).position)).toEqual([]);
});
