import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { collectBody } from "./collect-body.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers();
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

const MIB = 1024 * 1024;

test("large answers add up, and leave room for small ones", async () => {
  const chunk = Buffer.alloc(MIB);
  const { promise: full, resolve: isFull } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  async function* slowly() {
    for (let count = 0; count < 512; count++) yield chunk;
    isFull();
    await released;
    throw new Error("that was all");
  }
  const large = collectBody(hs, Readable.from(slowly()), 1024 * MIB);
  await full;
  const read = async (text: string) =>
    await collectBody(hs, Readable.from([Buffer.from(text)]), MIB);
  expect((await read("{}")).toString()).toBe("{}");
  await expect(read("x".repeat(100_000))).rejects.toMatchObject({ fault: "busy" });
  release();
  await expect(large).rejects.toThrow("that was all");
  expect(await read("x".repeat(100_000))).toHaveLength(100_000);
});
