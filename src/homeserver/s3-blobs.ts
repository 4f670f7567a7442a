import { createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { unlessIdle } from "#src/kit/unless-idle.ts";
import { createDraft } from "./blob-draft.ts";
import { removeBefore } from "./blob-files.ts";
import {
  type BlobKey,
  type BlobReader,
  type BlobStore,
  type BlobWriter,
  type ByteRange,
  blobPart,
  blobPath,
  isBlobKey,
  newBlobKey,
} from "./blob-store.ts";
import { FileStoreAway } from "./file-store-away.ts";
import type { UnixMs } from "./position.ts";
import { openS3Bucket, type S3Bucket, type S3Settings } from "./s3-bucket.ts";

/** How old what is found when a process begins must be for nobody to be at work on it. */
const OLD_MS = 24 * 60 * 60 * 1000;

/** How long the store may bring nothing of an object that it has begun to send. */
const IDLE_MS = 30_000;

/** Objects that are removed at once. */
const REMOVED_AT_ONCE = 8;

/**
 * A blob store in a bucket of an object store. What is being uploaded is first in a file of this machine: so it
 * can be read meanwhile, and goes into the bucket in one go.
 *
 * @param place the directory for those files. Each machine may have its own.
 */
export function openS3Blobs(
  settings: S3Settings,
  {
    directory,
    now,
    idleMs = IDLE_MS,
  }: { readonly directory: string; readonly now: () => UnixMs; readonly idleMs?: number },
): BlobStore {
  const unfinished = join(directory, "unfinished");
  let opened: Promise<S3Bucket> | undefined;
  const bucket = async () => {
    opened ??= removeBefore(unfinished, now() - OLD_MS)
      .then(() => openS3Bucket(settings))
      .catch((error: unknown) => {
        // What stands in the way now need not when somebody asks again.
        opened = undefined;
        throw error;
      });
    return await opened;
  };
  const open = async (key: BlobKey, range?: ByteRange) =>
    await openInBucket(await bucket(), key, { range, idleMs });

  return {
    check: async (signal) => await (await bucket()).check(signal),
    open,
    create: async () => await createInBucket(await bucket(), unfinished, open),

    async withFile(key, use) {
      const object = await (await bucket()).get(blobPath(key));
      if (!object) throw new Error(`there is no blob ${key} in the bucket`);
      const path = join(unfinished, newBlobKey());
      await mkdir(unfinished, { recursive: true });
      try {
        await pipeline(bytesOf(object.body, idleMs), createWriteStream(path, MADE_ANEW));
        return await use(path);
      } finally {
        await rm(path, { force: true });
      }
    },

    async remove(keys) {
      const own = await bucket();
      for (let at = 0; at < keys.length; at += REMOVED_AT_ONCE) {
        const some = keys.slice(at, at + REMOVED_AT_ONCE);
        await Promise.all(some.map(async (key) => await own.remove(blobPath(key))));
      }
    },

    async list(part, before) {
      const names = await (await bucket()).list(`${blobPart(part)}/`, before);
      return names.map((name) => name.replace("/", "")).filter(isBlobKey);
    },

    async removeAbandoned(before) {
      const files = await removeBefore(unfinished, before);
      return files + (await (await bucket()).endUploads(before));
    },
  };
}

/** What the store sends of an object. @throws FileStoreAway if that ends before its time. */
async function* bytesOf(body: Readable, idleMs: number): AsyncGenerator<Uint8Array> {
  try {
    yield* unlessIdle(body, idleMs);
  } catch (error) {
    throw new FileStoreAway(error);
  }
}

/** Not where there is a file already, and for nobody else to read. */
const MADE_ANEW = { flags: "wx", mode: 0o640 };

async function createInBucket(
  bucket: S3Bucket,
  unfinished: string,
  open: (key: BlobKey) => Promise<BlobReader | undefined>,
): Promise<BlobWriter> {
  const draft = await createDraft(unfinished);
  return {
    ...draft,
    commit: async () =>
      await draft.commit(async (file, sizeBytes) => {
        await bucket.put(blobPath(draft.key), file, sizeBytes);
        await rm(draft.path, { force: true });
      }),
    async follow() {
      const stream = (await draft.follow()) ?? (await open(draft.key))?.stream();
      if (!stream) throw new Error("a blob was removed before it could be read");
      return stream;
    },
  };
}

async function openInBucket(
  bucket: S3Bucket,
  key: BlobKey,
  { range, idleMs }: { readonly range: ByteRange | undefined; readonly idleMs: number },
): Promise<BlobReader | undefined> {
  const object = await bucket.get(blobPath(key), range);
  if (!object) return undefined;
  const { body, sizeBytes } = object;
  const isNothing = range !== undefined && range.start === range.end;
  const close = async () => void body.destroy();
  const content = (): AsyncIterable<Uint8Array> => {
    if (!isNothing) return bytesOf(body, idleMs);
    body.destroy();
    return Readable.from([]);
  };
  return {
    sizeBytes,
    close,
    // By iteration: as it is taken, and not ahead of that.
    stream: () => ReadableStream.from<Uint8Array>(content()),
    async bytes() {
      const chunks: Uint8Array[] = [];
      for await (const chunk of content()) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
  };
}
