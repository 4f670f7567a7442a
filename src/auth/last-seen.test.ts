import { afterAll, beforeAll, expect, test } from "vitest";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { noteSeen, writeSightings } from "./last-seen.ts";

let homes: TestHomeservers;
beforeAll(async () => {
  homes = await testHomeservers(2, LENIENT);
});
afterAll(async () => await homes.close());

test("processes that note many devices at once wait for none of each other's", async () => {
  const { hs, all } = homes;
  for (let count = 0; count < 8; count++) await registered(asking(hs), `many-${count}`);
  const rows = await hs.sql<{ device_key: number }[]>`select device_key from devices`;
  const keys = rows.map((it) => it.device_key);
  for (let round = 0; round < 40; round++) {
    const writings = all.map(async (one, at) => {
      for (const it of at === 0 ? keys : keys.toReversed()) noteSeen(one, it, { ip: "10.0.0.1" });
      await writeSightings(one);
    });
    await Promise.all(writings);
  }
  const seen = await hs.sql`select from devices where last_seen_ip = '10.0.0.1'`;
  expect(seen).toHaveLength(keys.length);
});

test("a user who looks at once sees the device that they look with", async () => {
  const ask = asking(homes.hs);
  const { access_token: token, device_id } = await registered(ask, "looks");
  const { devices } = (await ask("GET", "devices", { token })).body;
  expect(devices).toEqual([
    expect.objectContaining({ device_id, last_seen_ts: expect.any(Number) }),
  ]);
});
