import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import type { BlobKey, BlobStore, BlobWriter } from "#src/homeserver/blob-store.ts";
import { noteBuffer } from "#src/homeserver/collect-garbage.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { mediaBytes } from "./media-metrics.ts";

/** How much is collected before it is written: large enough that few writes are made, small in memory. */
const WRITE_BYTES = 256 * 1024;

/** Bytes from a client, and how many it says there are. */
export type Body = {
  readonly source: Readable;
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
  return await receiveInto(await blobs.create(), body.source, { limitBytes, direction: "up" });
}

/** The same for a blob that has been begun, and whose readers may follow it. */
export async function receiveInto(
  writer: BlobWriter,
  source: Readable,
  about: { readonly limitBytes: number; readonly direction: "up" | "in" },
): Promise<ReceivedBlob> {
  try {
    const received = await receive(writer, source, about);
    await writer.commit();
    return received;
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

async function receive(
  writer: BlobWriter,
  source: Readable,
  { limitBytes, direction }: { readonly limitBytes: number; readonly direction: "up" | "in" },
): Promise<ReceivedBlob> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();

  const flush = async () => {
    const chunks = waiting;
    waiting = [];
    waitingBytes = 0;
    await writer.write(chunks);
  };
  const take = (chunk: Uint8Array) => {
    noteBuffer(chunk.length);
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) {
      fail(tooLarge(limitBytes));
      return;
    }
    hash.update(chunk);
    waiting.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes < WRITE_BYTES) return;
    source.pause();
    flush().then(() => source.resume(), fail);
  };
  const goneAway = (cause?: unknown) =>
    fail(new MatrixError("M_UNKNOWN", "The upload ended too early", { status: 400, cause }));

  // One that has ended or gone away already says nothing more. `close` comes after `end`, too.
  if (source.readableEnded) end();
  else if (source.destroyed) goneAway();
  source.on("data", take).once("end", end).once("error", goneAway).once("close", goneAway);
  try {
    await ended;
    if (waitingBytes > 0) await flush();
  } finally {
    // The server of HTTP reads what is left of an upload that was refused.
    source.off("data", take);
    mediaBytes.inc({ direction }, sizeBytes);
  }
  return { blobKey: writer.key, sizeBytes, sha256: hash.digest() };
}

function tooLarge(limitBytes: number): MatrixError {
  return new MatrixError("M_TOO_LARGE", `Cannot upload files larger than ${limitBytes} bytes`);
}
