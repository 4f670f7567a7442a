import type { BlobKey } from "#src/homeserver/blob-store.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Mxc } from "./mxc.ts";
import { findMediaRow, touchCopy } from "./queries-media.ts";
import { isQuarantined } from "./queries-quarantine.ts";
import { type ComingMedia, fetchMedia } from "./remote/fetch-media.ts";
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
export type Patience = {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Of whoever wants it, if another server may be asked for them. */
  readonly allowance?: Allowance | undefined;
};

/** When a copy was last wanted is known to the day. */
const TOUCH_MS = 24 * 60 * 60 * 1000;

/**
 * Finds the media that a URI stands for. Where its file has not been uploaded yet, waits for it; another
 * server's is fetched, all of it.
 *
 * @throws MatrixError M_NOT_FOUND if there is none, it is quarantined, or nobody has uploaded it in time;
 *   M_NOT_YET_UPLOADED if the client's patience ends first; M_TOO_LARGE (502), M_LIMIT_EXCEEDED of another server's.
 */
export async function findMedia(hs: Homeserver, mxc: Mxc, patience: Patience): Promise<Media> {
  const found = await findOrFetch(hs, mxc, patience);
  if ("blobKey" in found) return found;
  await found.whole;
  const kept = await lookUp(hs, mxc);
  if (kept && "blobKey" in kept) return kept;
  throw unknownMedia();
}

/** The same, but that another server's may still be on its way. */
export async function findOrFetch(
  hs: Homeserver,
  mxc: Mxc,
  patience: Patience,
): Promise<Media | ComingMedia> {
  const found = await lookUp(hs, mxc);
  if (found && "blobKey" in found) return found;
  const { timeoutMs, allowance } = patience;
  if (mxc.origin !== hs.name && allowance) {
    if (await isQuarantined(hs.sql, mxc)) throw unknownMedia();
    return await fetchMedia(hs, mxc, { timeoutMs, allowance });
  }
  if (!found) throw unknownMedia();
  await waitForUpload(hs, found.pendingKey, patience);
  const now = await lookUp(hs, mxc);
  if (!now) throw unknownMedia();
  if ("blobKey" in now) return now;
  throw new MatrixError("M_NOT_YET_UPLOADED", "The media has not been uploaded yet");
}

async function lookUp(
  hs: Homeserver,
  mxc: Mxc,
): Promise<Media | { readonly pendingKey: number } | undefined> {
  const row = await findMediaRow(hs.sql, mxc);
  if (!row) return undefined;
  if (row.isQuarantined) throw unknownMedia();
  const { mediaKey, blobKey, contentType, sizeBytes, sha256, filename, expiresAtMs } = row;
  if (blobKey === null || contentType === null || sizeBytes === null || sha256 === null) {
    return expiresAtMs === null || expiresAtMs <= hs.now() ? undefined : { pendingKey: mediaKey };
  }
  if (row.usedMs !== null && row.usedMs < hs.now() - TOUCH_MS) {
    await touchCopy(hs.sql, mediaKey, hs.now());
  }
  return { mediaKey, blobKey, contentType, sizeBytes, sha256, filename: filename ?? undefined };
}

function unknownMedia(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "There is no such media");
}
