import { Readable } from "node:stream";
import { blobsOf } from "#src/homeserver/blobs.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { readContentType } from "./content-type.ts";
import { createCopyBlob } from "./create-copy-blob.ts";
import { sizeOfPicture } from "./make-thumbnail.ts";
import { mxcUri, newMediaId } from "./mxc.ts";
import { insertCopy } from "./queries-media.ts";
import { receiveInto } from "./receive-blob.ts";
import { inThumbnailPool } from "./thumbnail-pool.ts";

/** A copy of a picture from the web, and how large it is. */
export type KeptPicture = {
  readonly uri: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly width: number;
  readonly height: number;
};

export type KeepOptions = {
  /** What its server says that it is. */
  readonly declaredType: string | undefined;
  /** Of whoever wants it. */
  readonly allowance: Allowance;
};

/**
 * Keeps a copy of a picture from the web, for as long as copies of other servers' files are kept.
 *
 * @returns undefined if it is no picture.
 * @throws MatrixError M_LIMIT_EXCEEDED if there is no room for it now.
 */
export async function keepPicture(
  hs: Homeserver,
  bytes: Buffer,
  { declaredType, allowance }: KeepOptions,
): Promise<KeptPicture | undefined> {
  const blobs = blobsOf(hs);
  const blob = await receiveInto(await createCopyBlob(hs, allowance), Readable.from([bytes]), {
    limitBytes: bytes.length,
    direction: "up",
  });
  try {
    const size = await inThumbnailPool(
      hs,
      async () => await blobs.withFile(blob.blobKey, sizeOfPicture),
    );
    if (size) {
      const contentType = readContentType(declaredType);
      const mxc = { origin: hs.name, mediaId: newMediaId() };
      await insertCopy(hs.sql, mxc, { contentType, filename: undefined, ...blob, now: hs.now() });
      return { uri: mxcUri(mxc), contentType, sizeBytes: bytes.length, ...size };
    }
  } catch (error) {
    await blobs.remove([blob.blobKey]);
    throw error;
  }
  await blobs.remove([blob.blobKey]);
  return undefined;
}
