import { randomBytes } from "node:crypto";
import type { UnixMs } from "./position.ts";

/** Names a blob: 32 hexadecimal digits, by chance, so that nothing can be learnt or guessed from it. */
export type BlobKey = string & { readonly grammar: unique symbol };

/** A blob that is being written. Nobody can read it until it is committed. */
export type BlobWriter = {
  readonly key: BlobKey;
  /** Appends. To be awaited before the next call. */
  write(chunks: readonly Uint8Array[]): Promise<void>;
  /** Returns when the blob is durable: a power cut can no longer undo it. */
  commit(): Promise<void>;
  /** Throws away what has been written. Does nothing after `commit`. */
  discard(): Promise<void>;
  /**
   * All of the blob, from its beginning, also while it is being written: as fast as the reader takes it.
   * Ends with the commit, or with an error if the blob is discarded.
   */
  follow(): Promise<ReadableStream<Uint8Array>>;
};

/** Part of a blob: from one offset up to but not including another. */
export type ByteRange = { readonly start: number; readonly end: number };

/** A blob, or a part of one, that is open. Whoever opens it reads it once, by either way, or closes it. */
export type BlobReader = {
  /** How large the blob is as a whole. */
  readonly sizeBytes: number;
  /** As fast as it is taken. Closes the blob when it ends or is cancelled. */
  stream(): ReadableStream<Uint8Array>;
  /** The same at once, for what is small. Closes the blob. */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
};

/**
 * Where files are kept: bytes under keys, apart from what is known of them, which is in the database.
 *
 * A blob is durable before a row names it, and its row is gone before it is removed. So what a row
 * names exists, and what no row names, some time after it was made, is garbage.
 */
export type BlobStore = {
  /** Asks whether it is there. @param signal gives up. @throws what stands in the way, for the operator. */
  check(signal: AbortSignal): Promise<void>;
  create(): Promise<BlobWriter>;
  /**
   * @param range what of it is to be read; all of it if left out.
   * @returns undefined if there is no such blob, or it ends before that.
   */
  open(key: BlobKey, range?: ByteRange): Promise<BlobReader | undefined>;
  /** Gives the path of a file of this machine with the blob in it, for libraries that want one. */
  withFile<T>(key: BlobKey, use: (path: string) => Promise<T>): Promise<T>;
  /** Removes blobs, those that are gone already included. */
  remove(keys: readonly BlobKey[]): Promise<void>;
  /** The blobs of one part, of `BLOB_PARTS`, that were made before a time. */
  list(part: number, before: UnixMs): Promise<BlobKey[]>;
  /** Removes what writers that died before a time have left. Returns how many there were. */
  removeAbandoned(before: UnixMs): Promise<number>;
};

/** Folders that the blobs are spread over, so that none gets too full: named by three digits of the key. */
export const BLOB_PARTS = 16 ** 3;

/** The name of a part, of 0 up to but not including `BLOB_PARTS`. */
export function blobPart(part: number): string {
  return part.toString(16).padStart(3, "0");
}

/** Where a blob is kept: the same in every store, so that one can be copied into another. */
export function blobPath(key: BlobKey): string {
  return `${key.slice(0, 3)}/${key.slice(3)}`;
}

/** A key that no blob has. */
export function newBlobKey(): BlobKey {
  return randomBytes(16).toString("hex") as BlobKey;
}

/** Whether a name is a blob's key. */
export function isBlobKey(name: string): name is BlobKey {
  return /^[0-9a-f]{32}$/.test(name);
}
