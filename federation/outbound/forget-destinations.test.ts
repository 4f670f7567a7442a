import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import { sendToDevice } from "#src/devices/send-to-device.ts";
import { deviceKeysOf, testDevice } from "#src/encryption/testing.ts";
import { uploadKeys } from "#src/encryption/upload-keys.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { FOLLOWERS } from "#src/roles.ts";
import { runFollowers } from "#src/streams/run-followers.ts";
import { currentPosition } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { forgetDestinations } from "./job-forget-destinations.ts";
import { sharedRoom } from "./testing.ts";

let servers: TestHomeservers;

beforeAll(async () => {
  servers = await testHomeservers(
    1,
    { ARCHIPEL_FEDERATION_PARTNERS: "friend.test", ARCHIPEL_FEDERATION_GIVE_UP_AFTER_MS: "1000" },
    (hs) => [runFollowers(hs, FOLLOWERS)],
  );
});
afterAll(async () => await servers.close());

const GONE = "gone.test" as ServerName;
const FRIEND = "friend.test" as ServerName;

/** Returns when everything has been marked as owed. */
async function marked(): Promise<void> {
  const { sql } = servers.hs;
  const upTo = await currentPosition(servers.hs);
  const place = async () =>
    (await sql<{ position: number }[]>`select position from stream_followers`)[0]?.position;
  await expect.poll(place, { timeout: 20_000 }).toBeGreaterThanOrEqual(upTo);
}

async function run(): Promise<void> {
  expect(await forgetDestinations.run(servers.hs, servers.hs.stopping)).toBe("done");
}

const take = async (server: ServerName) =>
  await servers.hs
    .sql`update destinations set taken_up_to = owed_up_to where server_name = ${server}`;

async function counts() {
  const { sql } = servers.hs;
  const count = async (rows: Promise<readonly unknown[]>) => (await rows).length;
  return {
    stays: await count(sql`select from room_servers where until is not null`),
    destinations: await count(sql`select from destinations`),
    updates: await count(sql`select from device_list_updates`),
    messages: await count(sql`select from remote_to_device`),
  };
}

describe("what is remembered for other servers", () => {
  test("goes once they have been told, and not before", async () => {
    const { hs } = servers;
    const shared = await sharedRoom(hs, [FRIEND, GONE]);
    const device = await testDevice(hs, "local", "A");
    await uploadKeys(hs, device, { device_keys: deviceKeysOf(device) });
    await uploadKeys(hs, device, { device_keys: deviceKeysOf(device) });
    await shared.setMember(shared.members[1] ?? "@a:b", "ban");
    await deleteDevices(hs, device, ["A"]);
    await marked();
    await run();
    expect(await counts()).toEqual({ stays: 1, destinations: 2, updates: 3, messages: 0 });
    await take(GONE);
    await run();
    expect(await counts()).toEqual({ stays: 0, destinations: 1, updates: 3, messages: 0 });
    await take(FRIEND);
    await run();
    // The last change of a user is what the next one will follow; and a room is still shared.
    expect(await counts()).toEqual({ stays: 0, destinations: 1, updates: 1, messages: 0 });
  });

  test("goes when a server stays away for too long, unless it is a partner", async () => {
    const { hs } = servers;
    const { sql } = hs;
    for (const server of [FRIEND, GONE]) {
      const user: UserId = `@user:${server}`;
      const messages = { [user]: { "*": {} } };
      await sendToDevice(hs, await testDevice(hs, "local"), { type: "m.test", messages });
    }
    await marked();
    await run();
    expect((await counts()).messages).toBe(2);
    await sql`
      update destinations set failures = 3,
        failing_since_ms = (extract(epoch from clock_timestamp()) * 1000)::bigint - 5000`;
    await run();
    const left = await sql`select server_name from remote_to_device`;
    expect(left).toEqual([{ server_name: FRIEND }]);
  });
});
