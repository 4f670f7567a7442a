import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { BlobKey } from "./blob-store.ts";
import { openDiskBlobs } from "./disk-blobs.ts";

const root = mkdtempSync(join(tmpdir(), "blobs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const blobs = openDiskBlobs(join(root, "made-when-needed"));

async function stored(...chunks: Uint8Array[]): Promise<BlobKey> {
  const writer = await blobs.create();
  await writer.write(chunks);
  await writer.commit();
  return writer.key;
}

async function collected(stream: ReadableStream<Uint8Array> | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe("a blob", () => {
  test("is read as it was written, whole and in every range", async () => {
    const bytes = Buffer.from(Array.from({ length: 600_000 }, (_, index) => index % 251));
    const key = await stored(
      bytes.subarray(0, 7),
      bytes.subarray(7, 100_000),
      bytes.subarray(100_000),
    );
    const within = fc.integer({ min: 0, max: bytes.length });
    await fc.assert(
      fc.asyncProperty(within, within, async (a, b) => {
        const [start, end] = a < b ? [a, b] : [b, a];
        const streamed = await collected((await blobs.open(key))?.stream(start, end));
        const atOnce = await (await blobs.open(key))?.bytes(start, end);
        expect(streamed.equals(bytes.subarray(start, end))).toBe(true);
        expect(streamed.equals(atOnce ?? Buffer.alloc(0))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("is read while it is written, by any number of readers at their own pace", async () => {
    const parts = Array.from({ length: 9 }, (_, index) => Buffer.alloc(200_000, index));
    const writer = await blobs.create();
    const readers = [collected(await writer.follow())];
    const slow = (await writer.follow()).getReader();
    await writer.write(parts.slice(0, 1));
    expect((await slow.read()).value?.length).toBe(200_000);
    await writer.write(parts.slice(1, 4));
    readers.push(collected(await writer.follow()));
    await writer.write(parts.slice(4));
    await writer.commit();
    readers.push(collected(await writer.follow()));
    for (const read of await Promise.all(readers)) {
      expect(read.equals(Buffer.concat(parts))).toBe(true);
    }
    let left = 0;
    for (let it = await slow.read(); !it.done; it = await slow.read()) left += it.value.length;
    expect(left).toBe(1_600_000);
  });

  test("ends with an error for who reads it while it is written, if it is discarded", async () => {
    const writer = await blobs.create();
    await writer.write([Buffer.from("hello")]);
    const reading = collected(await writer.follow()).catch((error: unknown) => String(error));
    await writer.discard();
    expect(await reading).toContain("discarded");
  });

  test("may be empty", async () => {
    const key = await stored();
    const reader = await blobs.open(key);
    expect(reader?.sizeBytes).toBe(0);
    expect(await collected(reader?.stream(0, 0))).toHaveLength(0);
  });

  test("cannot be read before it is committed, nor after it is removed", async () => {
    const writer = await blobs.create();
    await writer.write([Buffer.from("hello")]);
    expect(await blobs.open(writer.key)).toBeUndefined();
    await writer.commit();
    await writer.discard();
    const reader = await blobs.open(writer.key);
    expect(reader?.sizeBytes).toBe(5);
    await reader?.close();
    await blobs.remove([writer.key, writer.key]);
    expect(await blobs.open(writer.key)).toBeUndefined();
  });

  test("that is discarded leaves nothing", async () => {
    const writer = await blobs.create();
    await writer.write([Buffer.from("hello")]);
    await writer.discard();
    expect(readdirSync(join(root, "made-when-needed", "unfinished"))).not.toContain(writer.key);
  });

  test("can be left in the middle of reading", async () => {
    const key = await stored(Buffer.alloc(3_000_000));
    const stream = (await blobs.open(key))?.stream(0, 3_000_000);
    for await (const chunk of stream ?? []) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await blobs.remove([key]);
    expect(await blobs.open(key)).toBeUndefined();
  });
});

describe("the store", () => {
  test("lists the blobs of each part that were made before a time", async () => {
    const key = await stored(Buffer.from("listed"));
    const part = Number.parseInt(key.slice(0, 3), 16);
    expect(await blobs.list(part, Date.now() + 60_000)).toContain(key);
    expect(await blobs.list(part, Date.now() - 60_000)).not.toContain(key);
    expect(part).toBeLessThan(blobs.parts);
  });

  test("removes what writers that died have left, and not what is being written", async () => {
    const writer = await blobs.create();
    await writer.write([Buffer.from("half")]);
    expect(await blobs.removeAbandoned(Date.now() - 60_000)).toBe(0);
    expect(await blobs.removeAbandoned(Date.now() + 60_000)).toBe(1);
    await writer.discard();
  });
});
