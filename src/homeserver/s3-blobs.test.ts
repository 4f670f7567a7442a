import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, expect, test } from "vitest";
import { errorResponse } from "#src/http/error-response.ts";
import { newBlobKey } from "./blob-store.ts";
import { openS3Blobs } from "./s3-blobs.ts";

const home = mkdtempSync(join(tmpdir(), "archipel-s3-"));
afterAll(() => rmSync(home, { recursive: true }));

const settings = {
  bucket: "files",
  region: "us-east-1",
  endpoint: "http://127.0.0.1:1",
  prefix: "",
  pathStyle: true,
  accessKeyId: "key",
  secretAccessKey: "secret",
  secretAccessKeyFile: null,
};

test("a store that stalls in the middle of an object is not waited for any longer", async () => {
  const store = createServer((_, answer) => {
    answer.writeHead(200, { "content-length": "10" });
    answer.write("half ");
  });
  store.listen(0, "127.0.0.1");
  await once(store, "listening");
  const { port } = store.address() as AddressInfo;
  const there = { ...settings, endpoint: `http://127.0.0.1:${port}` };
  const blobs = openS3Blobs(there, { directory: join(home, "stalled"), now: Date.now, idleMs: 50 });
  const key = newBlobKey();
  try {
    const reader = await blobs.open(key);
    await expect(reader?.bytes()).rejects.toThrow("Nothing has come");
    const streamed = async () => await new Response((await blobs.open(key))?.stream()).text();
    await expect(streamed()).rejects.toThrow("Nothing has come");
    const used = blobs.withFile(key, async () => "used");
    await expect(used).rejects.toThrow("Nothing has come");
  } finally {
    store.closeAllConnections();
    store.close();
  }
});

test("a store that cannot be reached is away, and not the database", async () => {
  const blobs = openS3Blobs(settings, { directory: join(home, "away"), now: Date.now });
  const writer = await blobs.create();
  const silent = pino({ level: "silent" });
  for (const asked of [blobs.open(newBlobKey()), writer.commit()]) {
    const error = await asked.catch((it: unknown) => it);
    const answer = errorResponse(error, silent);
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain("store of files");
  }
  await writer.discard();
});

test("what kept the store from being opened once does not for ever", async () => {
  const directory = join(home, "media");
  const blobs = openS3Blobs(settings, { directory, now: Date.now });
  writeFileSync(directory, "in the way");
  await expect(blobs.create()).rejects.toThrow("ENOTDIR");
  rmSync(directory);
  const writer = await blobs.create();
  await writer.discard();
});
