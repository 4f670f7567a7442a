import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openDiskBlobs } from "./disk-blobs.ts";
import { testBlobStore } from "./testing-blob-store.ts";

const root = mkdtempSync(join(tmpdir(), "blobs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const blobs = openDiskBlobs(join(root, "made-when-needed"));

testBlobStore(blobs);

test("a blob that is discarded leaves nothing", async () => {
  const writer = await blobs.create();
  await writer.write([Buffer.from("hello")]);
  await writer.discard();
  expect(readdirSync(join(root, "made-when-needed", "unfinished"))).not.toContain(writer.key);
});
