import { type FileHandle, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { noteBuffer } from "./collect-garbage.ts";
import type { UnixMs } from "./position.ts";

/** What one read takes from the disk, and a download holds in memory. */
export const READ_BYTES = 256 * 1024;

/** @throws Error if the file ends before that. */
export async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  noteBuffer(length);
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
export async function filesBefore(directory: string, before: UnixMs): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(directory)) {
    const about = await stat(join(directory, name)).catch(() => undefined);
    if (about?.isFile() && about.mtimeMs < before) found.push(name);
  }
  return found;
}

/** Removes those files. @returns how many there were. */
export async function removeBefore(directory: string, before: UnixMs): Promise<number> {
  const files = await filesBefore(directory, before);
  for (const file of files) await rm(join(directory, file), { force: true });
  return files.length;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Whether an error says that there is no such file or directory. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
