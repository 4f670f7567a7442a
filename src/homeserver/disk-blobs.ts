import { constants } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open as openFile,
  readdir,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type BlobKey,
  type BlobReader,
  type BlobStore,
  type BlobWriter,
  isBlobKey,
  newBlobKey,
} from "./blob-store.ts";
import type { UnixMs } from "./position.ts";

/** Directories that the files are spread over, so that none gets too full: named by three digits of the key. */
const PARTS = 16 ** 3;

/** What one read takes from the disk, and a download holds in memory. */
const READ_BYTES = 256 * 1024;

/**
 * A blob store in a directory, which several processes may share.
 *
 * @param directory is made when the first blob is.
 */
export function openDiskBlobs(directory: string): BlobStore {
  const pathOf = (key: BlobKey) => join(directory, partOf(key), fileOf(key));
  const unfinished = join(directory, "unfinished");
  return {
    parts: PARTS,
    create: async () => await createOnDisk(unfinished, pathOf),
    open: async (key) => await openOnDisk(pathOf(key)),
    withFile: async (key, use) => await use(pathOf(key)),
    async remove(keys) {
      for (const key of keys) await rm(pathOf(key), { force: true });
    },
    async list(part, before) {
      const name = part.toString(16).padStart(3, "0");
      const files = await filesBefore(join(directory, name), before);
      return files.map((file) => name + file).filter(isBlobKey);
    },
    async removeAbandoned(before) {
      const files = await filesBefore(unfinished, before);
      for (const file of files) await rm(join(unfinished, file), { force: true });
      return files.length;
    },
  };
}

const partOf = (key: BlobKey) => key.slice(0, 3);
const fileOf = (key: BlobKey) => key.slice(3);

async function createOnDisk(
  unfinished: string,
  pathOf: (key: BlobKey) => string,
): Promise<BlobWriter> {
  const key = newBlobKey();
  const draft = join(unfinished, key);
  const file = await openNew(draft);
  const growth = new Growth();
  let open = true;
  return {
    key,
    async write(chunks) {
      await writeAll(file, chunks);
      growth.add(chunks.reduce((sum, it) => sum + it.length, 0));
    },
    async commit() {
      growth.end("whole");
      await file.datasync();
      open = false;
      await file.close();
      const path = pathOf(key);
      await renameDurably(draft, path);
    },
    async discard() {
      if (!open) return;
      growth.end("cut off");
      open = false;
      await file.close();
      await rm(draft, { force: true });
    },
    // What is open can be read whatever becomes of its name.
    follow: async () => followFile(await openEither(draft, pathOf(key)), growth),
  };
}

async function openEither(path: string, other: string): Promise<FileHandle> {
  try {
    return await openFile(path, "r");
  } catch (error) {
    if (!isMissing(error)) throw error;
    return await openFile(other, "r");
  }
}

/** How far a file has been written. */
class Growth {
  bytes = 0;
  state: "growing" | "whole" | "cut off" = "growing";
  #next = Promise.withResolvers<void>();

  add(bytes: number): void {
    this.bytes += bytes;
    this.#tell();
  }

  /** The first end counts. */
  end(state: "whole" | "cut off"): void {
    if (this.state === "growing") this.state = state;
    this.#tell();
  }

  /** Resolves when there is more than this, or when there will be no more. */
  async beyond(bytes: number): Promise<void> {
    while (this.bytes <= bytes && this.state === "growing") await this.#next.promise;
  }

  #tell(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }
}

function followFile(file: FileHandle, growth: Growth): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          await growth.beyond(at);
          if (growth.state === "cut off") throw new Error("a blob was discarded while it was read");
          if (growth.bytes === at) {
            await file.close();
            controller.close();
            return;
          }
          const bytes = await readExactly(file, at, Math.min(READ_BYTES, growth.bytes - at));
          at += bytes.length;
          controller.enqueue(bytes);
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

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await openFile(path, "wx", 0o640);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(dirname(path), { recursive: true });
    return await openFile(path, "wx", 0o640);
  }
}

/** `writev` may write less than it was given. */
async function writeAll(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  let { bytesWritten } = await file.writev(chunks);
  for (const chunk of chunks) {
    const done = Math.min(bytesWritten, chunk.length);
    bytesWritten -= done;
    if (done < chunk.length) await file.appendFile(chunk.subarray(done));
  }
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

async function openOnDisk(path: string): Promise<BlobReader | undefined> {
  let file: FileHandle;
  try {
    file = await openFile(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const { size } = await file.stat();
  return {
    sizeBytes: size,
    close: async () => await file.close(),
    stream: (start, end) => streamOf(file, start, end),
    async bytes(start, end) {
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

async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  // Not zeroed, and not of the shared pool: all of it is read into, and all of it is given away.
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error("a blob is shorter than it was said to be");
    done += bytesRead;
  }
  return bytes;
}

/** The files in a directory that were last written to before a time; none if there is no directory. */
async function filesBefore(directory: string, before: UnixMs): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(directory)) {
    const about = await stat(join(directory, name)).catch(() => undefined);
    if (about?.isFile() && about.mtimeMs < before) found.push(name);
  }
  return found;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
