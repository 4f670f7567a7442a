import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { lookAtFileStore } from "./watch-file-store.ts";

let servers: TestHomeservers;
beforeAll(async () => {
  servers = await testHomeservers();
});
afterAll(async () => await servers.close());

const isUp = async () => {
  const metric = await registry.getSingleMetric("archipel_media_store_up")?.get();
  return metric?.values.map((it) => it.value);
};

/** A homeserver whose files are in a bucket at an endpoint, and what it says in its log. */
function withBucket(endpoint: string): { hs: Homeserver; said: Record<string, unknown>[] } {
  const said: Record<string, unknown>[] = [];
  const write = (line: string) => void said.push(JSON.parse(line) as Record<string, unknown>);
  const { hs } = servers;
  const s3 = {
    ...hs.config.media.s3,
    bucket: "files",
    endpoint,
    pathStyle: true,
    accessKeyId: "key",
    secretAccessKey: "secret",
  };
  const config = { ...hs.config, media: { ...hs.config.media, s3 } };
  return { hs: { ...hs, config, log: pino({}, { write }) }, said };
}

test("that there is no bucket is said once, with what to do; and that it is there again", async () => {
  let isMade = false;
  const store = createServer((_, answer) => {
    answer.statusCode = isMade ? 200 : 404;
    answer.setHeader("content-type", "application/xml");
    answer.end(
      isMade
        ? "<ListBucketResult><Name>files</Name><KeyCount>0</KeyCount></ListBucketResult>"
        : "<Error><Code>NoSuchBucket</Code><Message>No such bucket</Message></Error>",
    );
  });
  store.listen(0, "127.0.0.1");
  await once(store, "listening");
  const { port } = store.address() as AddressInfo;
  try {
    const { hs, said } = withBucket(`http://127.0.0.1:${port}`);
    expect(await lookAtFileStore(hs)).toBe(false);
    expect(await lookAtFileStore(hs)).toBe(false);
    expect(said).toMatchObject([
      { level: 50, bucket: "files", msg: "no files can be kept or shown" },
    ]);
    expect(JSON.stringify(said)).toContain("there is no bucket files: make it");
    expect(await isUp()).toEqual([0]);
    isMade = true;
    expect(await lookAtFileStore(hs)).toBe(true);
    expect(said.at(-1)).toMatchObject({ level: 30, msg: "files can be kept again" });
    expect(await isUp()).toEqual([1]);
  } finally {
    store.closeAllConnections();
    store.close();
  }
});

test("a directory that has not been made yet is one in which files can be kept", async () => {
  expect(await lookAtFileStore(servers.hs)).toBe(true);
});
