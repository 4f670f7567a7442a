import { createHash } from "node:crypto";
import type { BlobKey, BlobStore, BlobWriter } from "#src/homeserver/blob-store.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { mediaBytes } from "./media-metrics.ts";

/** How much is collected before it is written: large enough that few writes are made, small in memory. */
const WRITE_BYTES = 256 * 1024;

/** How much of an upload that is refused is still taken from the client. */
const SKIP_BYTES = 16 * 1024 * 1024;

/** Bytes from a client, and how many it says there are. */
export type Body = {
  /** Begins to read them; null if there are none. Not called for what is refused unread. */
  readonly open: () => ReadableStream<Uint8Array> | null;
  /** From the `Content-Length` header, if there is one. */
  readonly declaredBytes: number | undefined;
};

export type ReceivedBlob = {
  readonly blobKey: BlobKey;
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
};

/**
 * Writes what a client sends to a blob, as it comes: a file is never in memory as a whole. Returns
 * when the blob is durable. Nothing is left of one that does not come to its end.
 *
 * @throws MatrixError M_TOO_LARGE if it is over the limit, at once if the client says so itself;
 *   M_UNKNOWN (400) if the client goes away.
 */
export async function receiveBlob(
  blobs: BlobStore,
  body: Body,
  limitBytes: number,
): Promise<ReceivedBlob> {
  if ((body.declaredBytes ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const writer = await blobs.create();
  try {
    const received = await receive(writer, body.open(), limitBytes);
    await writer.commit();
    return received;
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

async function receive(
  writer: BlobWriter,
  bytes: ReadableStream<Uint8Array> | null,
  limitBytes: number,
): Promise<ReceivedBlob> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  // One write is under way while the next chunks come in; its failure is seen when it is awaited.
  let writing: Promise<void> = Promise.resolve();
  const flush = async () => {
    await writing;
    writing = writer.write(waiting);
    writing.catch(() => {});
    waiting = [];
    waitingBytes = 0;
  };

  try {
    for await (const chunk of chunksOf(bytes)) {
      sizeBytes += chunk.length;
      if (sizeBytes > limitBytes) throw tooLarge(limitBytes);
      hash.update(chunk);
      waiting.push(chunk);
      waitingBytes += chunk.length;
      if (waitingBytes >= WRITE_BYTES) await flush();
    }
    if (waitingBytes > 0) await flush();
  } finally {
    mediaBytes.inc({ direction: "up" }, sizeBytes);
    await writing;
  }
  return { blobKey: writer.key, sizeBytes, sha256: hash.digest() };
}

async function* chunksOf(bytes: ReadableStream<Uint8Array> | null): AsyncIterable<Uint8Array> {
  if (bytes === null) return;
  const reader = bytes.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        ended = true;
        throw new MatrixError("M_UNKNOWN", "The upload ended too early", { status: 400, cause });
      });
      ended = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!ended) await skip(reader);
  }
}

/**
 * Reads on for a moment, for nothing: most clients look for the answer only when they have sent all,
 * and the connection is good for another request only then.
 */
async function skip(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    for (let skipped = 0; skipped < SKIP_BYTES;) {
      const { done, value } = await reader.read();
      if (done) return;
      skipped += value.length;
    }
  } catch {
    // The client has gone, and what it wanted is refused anyhow.
  }
}

function tooLarge(limitBytes: number): MatrixError {
  return new MatrixError("M_TOO_LARGE", `Cannot upload files larger than ${limitBytes} bytes`);
}
