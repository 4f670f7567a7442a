import { blobsOf } from "#src/homeserver/blobs.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { readContentType } from "./content-type.ts";
import { type Mxc, newMediaId } from "./mxc.ts";
import { fillMedia, findMediaRow, insertMedia, type MediaRow } from "./queries-media.ts";
import { type Body, type ReceivedBlob, receiveBlob } from "./receive-blob.ts";
import { requireRoom } from "./require-room.ts";
import { wakeWaiting } from "./wait-for-upload.ts";

/** A file as a client sends it. */
export type Upload = {
  readonly body: Body;
  /** The `Content-Type` header. */
  readonly contentType: string | undefined;
  readonly filename: string | undefined;
};

/** More than any file system allows. In bytes. */
const MOST_FILENAME_BYTES = 1024;

/**
 * Stores a file under a new URI. Returns when it is durable.
 *
 * @throws MatrixError M_TOO_LARGE; M_INVALID_PARAM for an absurd file name; M_FORBIDDEN if the user has
 *   uploaded as much as one may; M_UNKNOWN (400) if the client goes away.
 * @spec client-server-api#post_matrixmediav3upload
 */
export async function uploadMedia(
  hs: Homeserver,
  requester: Requester,
  upload: Upload,
): Promise<Mxc> {
  const about = describe(upload);
  const blob = await receive(hs, requester, upload.body);
  const mxc: Mxc = { origin: hs.name, mediaId: newMediaId() };
  await orRemove(hs, blob, async () => {
    await requireRoom(hs, requester, blob.sizeBytes);
    const uploaded = { uploaderKey: requester.userKey, now: hs.now() };
    await insertMedia(hs.sql, mxc, { ...about, ...blob, ...uploaded });
  });
  hs.log.info({ userId: requester.userId, sizeBytes: blob.sizeBytes }, "file uploaded");
  return mxc;
}

/**
 * Stores the file for a URI that was given out earlier. Returns when it is durable.
 *
 * @throws MatrixError as `uploadMedia`; M_NOT_FOUND if the URI was never given out, or too long ago;
 *   M_FORBIDDEN if it was given to somebody else; M_CANNOT_OVERWRITE_MEDIA if it has a file already.
 * @spec client-server-api#put_matrixmediav3uploadservernamemediaid
 */
export async function uploadToMxc(
  hs: Homeserver,
  requester: Requester,
  mxc: Mxc,
  upload: Upload,
): Promise<void> {
  const about = describe(upload);
  const row = mxc.origin === hs.name ? await findMediaRow(hs.sql, mxc) : undefined;
  const { mediaKey } = awaited(hs, requester, row);

  const blob = await receive(hs, requester, upload.body);
  await orRemove(hs, blob, async () => {
    await requireRoom(hs, requester, blob.sizeBytes);
    if (await fillMedia(hs.sql, mediaKey, { ...about, ...blob })) return;
    // It has been uploaded by another request meanwhile, or has expired.
    throw (await findMediaRow(hs.sql, mxc)) ? cannotOverwrite() : unknownMedia();
  });
  wakeWaiting(hs, mediaKey);
  hs.log.info({ userId: requester.userId, sizeBytes: blob.sizeBytes }, "file uploaded");
}

/** Does not begin with what a user has no room for. How large it is, is known only when it is here. */
async function receive(hs: Homeserver, requester: Requester, body: Body): Promise<ReceivedBlob> {
  const { maxUploadBytes } = hs.config.media;
  await requireRoom(hs, requester, body.declaredBytes ?? 0);
  return await receiveBlob(blobsOf(hs), body, maxUploadBytes);
}

/** The row, if it waits for an upload by this user. */
function awaited(hs: Homeserver, requester: Requester, row: MediaRow | undefined): MediaRow {
  if (!row) throw unknownMedia();
  if (row.uploaderKey !== requester.userKey) {
    throw new MatrixError("M_FORBIDDEN", "This URI was created by another user");
  }
  if (row.blobKey !== null) throw cannotOverwrite();
  if (row.expiresAtMs === null || row.expiresAtMs <= hs.now()) throw unknownMedia();
  return row;
}

function describe({ contentType, filename }: Upload) {
  if (filename !== undefined) {
    const absurd =
      filename.includes("\0") ||
      !filename.isWellFormed() ||
      Buffer.byteLength(filename) > MOST_FILENAME_BYTES;
    if (absurd) throw new MatrixError("M_INVALID_PARAM", "Not a valid file name");
  }
  return { contentType: readContentType(contentType), filename };
}

/** Stores what names the blob. If that fails, the blob goes; if we die before, it is swept away later. */
async function orRemove(
  hs: Homeserver,
  { blobKey }: ReceivedBlob,
  store: () => Promise<void>,
): Promise<void> {
  try {
    await store();
  } catch (error) {
    // After a lost connection nobody knows whether the row is there, and a row must have its blob.
    if (error instanceof MatrixError) await blobsOf(hs).remove([blobKey]);
    throw error;
  }
}

function unknownMedia(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "Unknown media ID");
}

function cannotOverwrite(): MatrixError {
  return new MatrixError("M_CANNOT_OVERWRITE_MEDIA", "Media already uploaded");
}
