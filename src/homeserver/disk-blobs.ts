import { constants } from "node:fs";
import { access, type FileHandle, mkdir, open as openFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createDraft } from "./blob-draft.ts";
import { filesBefore, isMissing, READ_BYTES, readExactly, removeBefore } from "./blob-files.ts";
import {
  type BlobKey,
  type ByteRange,
  type BlobReader,
  type BlobStore,
  type BlobWriter,
  blobPart,
  blobPath,
  isBlobKey,
} from "./blob-store.ts";

/**
 * A blob store in a directory, which several processes may share.
 *
 * @param directory is made when the first blob is.
 */
export function openDiskBlobs(directory: string): BlobStore {
  const pathOf = (key: BlobKey) => join(directory, blobPath(key));
  const unfinished = join(directory, "unfinished");
  return {
    check: async () => await checkDirectory(directory),
    create: async () => await createOnDisk(unfinished, pathOf),
    open: async (key, range) => await openOnDisk(pathOf(key), range),
    withFile: async (key, use) => await use(pathOf(key)),
    async remove(keys) {
      for (const key of keys) await rm(pathOf(key), { force: true });
    },
    async list(part, before) {
      const name = blobPart(part);
      const files = await filesBefore(join(directory, name), before);
      return files.map((file) => name + file).filter(isBlobKey);
    },
    removeAbandoned: async (before) => await removeBefore(unfinished, before),
  };
}

/** @throws if there is one in which nothing can be made. */
async function checkDirectory(directory: string): Promise<void> {
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function createOnDisk(
  unfinished: string,
  pathOf: (key: BlobKey) => string,
): Promise<BlobWriter> {
  const draft = await createDraft(unfinished);
  const path = pathOf(draft.key);
  return {
    ...draft,
    commit: async () =>
      await draft.commit(async (file) => {
        await file.datasync();
        await renameDurably(draft.path, path);
      }),
    async follow() {
      const stream = (await draft.follow()) ?? (await openOnDisk(path))?.stream();
      if (!stream) throw new Error("a blob was removed before it could be read");
      return stream;
    },
  };
}

/** A new name is durable when its directory is, and a new directory when its parent is. */
async function renameDurably(from: string, to: string): Promise<void> {
  const parent = dirname(to);
  try {
    await rename(from, to);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(parent, { recursive: true });
    await syncDirectory(dirname(parent));
    await rename(from, to);
  }
  await syncDirectory(parent);
}

async function syncDirectory(path: string): Promise<void> {
  // Windows opens no directories and needs none of this.
  if (process.platform === "win32") return;
  const directory = await openFile(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function openOnDisk(path: string, range?: ByteRange): Promise<BlobReader | undefined> {
  let file: FileHandle;
  try {
    file = await openFile(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const { size } = await file.stat();
  const { start, end } = range ?? { start: 0, end: size };
  if (end > size) {
    await file.close();
    return undefined;
  }
  return {
    sizeBytes: size,
    close: async () => await file.close(),
    stream: () => streamOf(file, start, end),
    async bytes() {
      try {
        return await readExactly(file, start, end - start);
      } finally {
        await file.close();
      }
    },
  };
}

/** Read as it is consumed, and not ahead of that. */
function streamOf(file: FileHandle, start: number, end: number): ReadableStream<Uint8Array> {
  let at = start;
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const bytes = await readExactly(file, at, Math.min(READ_BYTES, end - at));
          at += bytes.length;
          if (bytes.length > 0) controller.enqueue(bytes);
          if (at < end) return;
          await file.close();
          controller.close();
        } catch (error) {
          await file.close().catch(() => {});
          throw error;
        }
      },
      cancel: async () => await file.close(),
    },
    { highWaterMark: 0 },
  );
}
