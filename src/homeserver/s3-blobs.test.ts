import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openS3Blobs } from "./s3-blobs.ts";

const home = mkdtempSync(join(tmpdir(), "archipel-s3-"));
afterAll(() => rmSync(home, { recursive: true }));

test("what kept the store from being opened once does not for ever", async () => {
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
  const directory = join(home, "media");
  const blobs = openS3Blobs(settings, { directory, now: Date.now });
  writeFileSync(directory, "in the way");
  await expect(blobs.create()).rejects.toThrow("ENOTDIR");
  rmSync(directory);
  const writer = await blobs.create();
  await writer.discard();
});
