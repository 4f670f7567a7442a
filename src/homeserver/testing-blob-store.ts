/** What holds of every blob store. Only tests may import this. */
import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLOB_PARTS, type BlobKey, type BlobStore } from "./blob-store.ts";

/** Registers the tests that every blob store has to pass. */
export function testBlobStore(blobs: BlobStore): void {
  describe("a blob", () => {
    testReading(blobs);
    testFollowing(blobs);
    testEnds(blobs);
  });
  describe("the store", () => {
    test("is there", async () => {
      await expect(blobs.check(new AbortController().signal)).resolves.toBeUndefined();
    });
    testSweeping(blobs);
  });
}

function testReading(blobs: BlobStore): void {
  test("is read as it was written, whole and in every range", async () => {
    const bytes = Buffer.from(Array.from({ length: 600_000 }, (_, index) => index % 251));
    const key = await stored(
      blobs,
      bytes.subarray(0, 7),
      bytes.subarray(7, 100_000),
      bytes.subarray(100_000),
    );
    expect((await collected((await blobs.open(key))?.stream())).equals(bytes)).toBe(true);
    const within = fc.integer({ min: 0, max: bytes.length });
    await fc.assert(
      fc.asyncProperty(within, within, async (a, b) => {
        const range = a < b ? { start: a, end: b } : { start: b, end: a };
        const wanted = bytes.subarray(range.start, range.end);
        const streamed = await collected((await blobs.open(key, range))?.stream());
        const atOnce = await (await blobs.open(key, range))?.bytes();
        expect(streamed.equals(wanted)).toBe(true);
        expect(atOnce && wanted.equals(atOnce)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("is not read beyond its end", async () => {
    const key = await stored(blobs, Buffer.from("hello"));
    expect(await blobs.open(key, { start: 2, end: 6 })).toBeUndefined();
    expect(await blobs.open(key, { start: 8, end: 9 })).toBeUndefined();
  });

  test("may be empty", async () => {
    const key = await stored(blobs);
    const reader = await blobs.open(key, { start: 0, end: 0 });
    expect(reader?.sizeBytes).toBe(0);
    expect(await collected(reader?.stream())).toHaveLength(0);
  });

  test("is given as a file to whoever wants one", async () => {
    const key = await stored(blobs, Buffer.from("hello"));
    const text = await blobs.withFile(key, async (path) => await readFile(path, "utf8"));
    expect(text).toBe("hello");
  });
}

function testFollowing(blobs: BlobStore): void {
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
}

function testEnds(blobs: BlobStore): void {
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

  test("can be left in the middle of reading", async () => {
    const key = await stored(blobs, Buffer.alloc(3_000_000));
    const stream = (await blobs.open(key))?.stream();
    for await (const chunk of stream ?? []) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await blobs.remove([key]);
    expect(await blobs.open(key)).toBeUndefined();
  });
}

function testSweeping(blobs: BlobStore): void {
  test("lists the blobs of each part that were made before a time", async () => {
    const key = await stored(blobs, Buffer.from("listed"));
    const part = Number.parseInt(key.slice(0, 3), 16);
    expect(await blobs.list(part, Date.now() + 60_000)).toContain(key);
    expect(await blobs.list(part, Date.now() - 60_000)).not.toContain(key);
    expect(part).toBeLessThan(BLOB_PARTS);
  });

  test("removes what writers that died have left, and not what is being written", async () => {
    const writer = await blobs.create();
    await writer.write([Buffer.from("half")]);
    expect(await blobs.removeAbandoned(Date.now() - 60_000)).toBe(0);
    expect(await blobs.removeAbandoned(Date.now() + 60_000)).toBe(1);
    await writer.discard();
  });
}

async function stored(blobs: BlobStore, ...chunks: Uint8Array[]): Promise<BlobKey> {
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
