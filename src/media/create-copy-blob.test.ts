import { afterAll, beforeEach, expect, test } from "vitest";
import type { BlobKey } from "#src/homeserver/blob-store.ts";
import { blobsOf } from "#src/homeserver/blobs.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { createCopyBlob } from "./create-copy-blob.ts";
import { newMediaId } from "./mxc.ts";
import { bytesOfCopies, deleteCopies, insertCopy } from "./queries-media.ts";
import { mediaServers } from "./testing.ts";

const KIB = 1024;
const settings = { maxRemoteCopyBytes: 100 * KIB, maxUploadBytes: 100 * KIB };
const servers = await mediaServers(1, settings);
afterAll(async () => await servers.close());
const [{ hs } = { hs: undefined }] = servers.all;
if (!hs) throw new Error("there is no server");

beforeEach(async () => void (await servers.sql`delete from media`));

let counted = 0;
const allowance = { require: () => {}, count: (much: number) => void (counted += much) };

/** Keeps a copy that was last wanted some time ago. */
async function keep(kib: number, agoMs: number): Promise<BlobKey> {
  if (!hs) throw new Error("there is no server");
  const writer = await createCopyBlob(hs, allowance);
  for (let it = 0; it < kib; it++) await writer.write([Buffer.alloc(KIB)]);
  await writer.commit();
  const mxc = { origin: parseServerName("elsewhere.test"), mediaId: newMediaId() };
  await insertCopy(hs.sql, mxc, {
    blobKey: writer.key,
    sizeBytes: kib * KIB,
    sha256: Buffer.alloc(32),
    contentType: "text/plain",
    filename: undefined,
    now: hs.now() - agoMs,
  });
  return writer.key;
}

test("copies that come make room as they do, no more than is needed, by those wanted least lately", async () => {
  const keys: BlobKey[] = [];
  for (let index = 0; index < 9; index++) keys.push(await keep(10, 60_000 * (index + 1)));
  expect(await bytesOfCopies(hs.sql)).toBe(90 * KIB);
  keys.push(await keep(50, 1_000));
  // With the tenth that may come unseen.
  const bytes = await bytesOfCopies(hs.sql);
  expect(bytes).toBeLessThanOrEqual(110 * KIB);
  expect(bytes).toBeGreaterThanOrEqual(90 * KIB);
  const found = await Promise.all(
    keys.map(async (key) => {
      const reader = await blobsOf(hs).open(key);
      await reader?.close();
      return reader !== undefined;
    }),
  );
  expect(found.at(0)).toBe(true);
  expect(found.at(8)).toBe(false);
  expect(found.at(9)).toBe(true);
  expect(found).toEqual(
    found
      .slice(0, 9)
      .toSorted((a, b) => Number(b) - Number(a))
      .concat(true),
  );
});

test("what comes counts for whoever wants it", async () => {
  counted = 0;
  await keep(64, 0);
  expect(counted * 64).toBe(1);
});

test("what is on its way and finds no room is refused, and takes none any more", async () => {
  const [first, second] = [
    await createCopyBlob(hs, allowance),
    await createCopyBlob(hs, allowance),
  ];
  await first.write([Buffer.alloc(70 * KIB)]);
  await expect(
    (async () => {
      for (let it = 0; it < 60; it++) await second.write([Buffer.alloc(KIB)]);
    })(),
  ).rejects.toMatchObject({ errcode: "M_LIMIT_EXCEEDED", status: 429 });
  await second.discard();
  await first.write([Buffer.alloc(20 * KIB)]);
  await first.discard();
  await keep(90, 0);
});

test("thumbnails of copies take room, too, and go with them", async () => {
  await keep(10, 60_000);
  await keep(10, 1_000);
  await hs.sql`
    insert into media_thumbnails
      (media_key, width, height, method, animated, blob_key, content_type, size_bytes)
    select media_key, size, size, 'scale', false, case size when 1 then blob_key else 'thumbnail' || media_key end,
      'image/png', ${5 * KIB}::bigint
    from media cross join generate_series(1, 2) as size`;
  // One of each two is the picture itself.
  expect(await bytesOfCopies(hs.sql)).toBe(30 * KIB);
  const asked = { before: hs.now(), limit: 10, mostBytes: 15 * KIB };
  const { blobs, bytes } = await deleteCopies(hs.sql, asked);
  expect(bytes).toBe(15 * KIB);
  expect(new Set(blobs).size).toBe(2);
  expect(await bytesOfCopies(hs.sql)).toBe(15 * KIB);
});
