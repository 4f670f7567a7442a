import type { BlobKey } from "#src/homeserver/blob-store.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Mxc } from "./mxc.ts";
import { findMediaRow } from "./queries-media.ts";
import { waitForUpload } from "./wait-for-upload.ts";

/** Media that is here, and what is known of it. */
export type Media = {
  readonly mediaKey: number;
  readonly blobKey: BlobKey;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
  readonly filename: string | undefined;
};

/** How long a client is willing to wait for an upload, and whether it is still there. */
export type Patience = { readonly timeoutMs: number; readonly signal: AbortSignal };

/**
 * Finds the media that a URI stands for. Where its file has not been uploaded yet, waits for it.
 *
 * @throws MatrixError M_NOT_FOUND if there is none, or nobody has uploaded it in time;
 *   M_NOT_YET_UPLOADED if the client's patience ends first.
 */
export async function findMedia(hs: Homeserver, mxc: Mxc, patience: Patience): Promise<Media> {
  const found = await lookUp(hs, mxc);
  if ("blobKey" in found) return found;
  await waitForUpload(hs, found.pendingKey, patience);
  const now = await lookUp(hs, mxc);
  if ("blobKey" in now) return now;
  throw new MatrixError("M_NOT_YET_UPLOADED", "The media has not been uploaded yet");
}

async function lookUp(hs: Homeserver, mxc: Mxc): Promise<Media | { readonly pendingKey: number }> {
  const row = await findMediaRow(hs.sql, mxc);
  if (!row) throw unknownMedia();
  const { mediaKey, blobKey, contentType, sizeBytes, sha256, filename, expiresAtMs } = row;
  if (blobKey === null || contentType === null || sizeBytes === null || sha256 === null) {
    if (expiresAtMs === null || expiresAtMs <= hs.now()) throw unknownMedia();
    return { pendingKey: mediaKey };
  }
  return { mediaKey, blobKey, contentType, sizeBytes, sha256, filename: filename ?? undefined };
}

function unknownMedia(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "There is no such media");
}
