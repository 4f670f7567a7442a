import { type FileHandle, mkdir, open as openFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMissing, READ_BYTES, readExactly } from "./blob-files.ts";
import { type BlobKey, type BlobWriter, newBlobKey } from "./blob-store.ts";

/** A blob that is being written, in a file of this machine, until it is kept. */
export type BlobDraft = Pick<BlobWriter, "key" | "write" | "discard"> & {
  readonly path: string;
  /**
   * All of it is written.
   *
   * @param keep brings it to where blobs are kept, and takes the file away from here.
   */
  commit(keep: (file: FileHandle, sizeBytes: number) => Promise<void>): Promise<void>;
  /** All of it, from its beginning, also while it grows. Undefined if it is not here any more. */
  follow(): Promise<ReadableStream<Uint8Array> | undefined>;
};

/** Begins a blob in a directory, which is made if it is not there. */
export async function createDraft(directory: string): Promise<BlobDraft> {
  const key: BlobKey = newBlobKey();
  const path = join(directory, key);
  const file = await openNew(path);
  const growth = new Growth();
  let open = true;
  return {
    key,
    path,
    async write(chunks) {
      await writeAll(file, chunks);
      growth.add(chunks.reduce((sum, it) => sum + it.length, 0));
    },
    async commit(keep) {
      growth.end("whole");
      await keep(file, growth.bytes);
      open = false;
      await file.close();
    },
    async discard() {
      if (!open) return;
      growth.end("cut off");
      open = false;
      await file.close();
      await rm(path, { force: true });
    },
    // What is open can be read whatever becomes of its name.
    async follow() {
      const reading = await openThere(path);
      return reading && followFile(reading, growth);
    },
  };
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await openFile(path, "wx+", 0o640);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(dirname(path), { recursive: true });
    return await openFile(path, "wx+", 0o640);
  }
}

async function openThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await openFile(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
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
