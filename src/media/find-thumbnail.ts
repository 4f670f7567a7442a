import { blobsOf } from "#src/homeserver/blobs.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { essenceOf } from "./content-type.ts";
import type { Media } from "./find-media.ts";
import { makeThumbnail, type Thumbnail } from "./make-thumbnail.ts";
import { thumbnailSeconds } from "./media-metrics.ts";
import { findThumbnailRow, insertThumbnail, type StoredThumbnail } from "./queries-thumbnails.ts";
import { inThumbnailPool } from "./thumbnail-pool.ts";
import { roundUp, type ThumbnailSpec } from "./thumbnail-size.ts";

/** The types of which thumbnails are made. Encrypted files say that they are unknown bytes. */
const PICTURES = new Set([
  "image/jpeg",
  "image/jpg",
  "image/png",
  "image/apng",
  "image/gif",
  "image/webp",
  "image/avif",
]);

/** Thumbnails that are kept of one media. Whoever asks for sizes that nobody else does gets them made. */
const MOST_THUMBNAILS = 32;

/** A thumbnail that can be sent: stored, or, if the media has too many, in memory. */
export type FoundThumbnail =
  | StoredThumbnail
  | { readonly bytes: Uint8Array; readonly contentType: string };

/** What is being made in this process, so that a room full of clients has it made once. */
const inWorkOf = held(() => new Map<string, Promise<FoundThumbnail>>());

/**
 * The thumbnail of a media in the size that is asked for or somewhat larger; made and stored if
 * nobody has asked for it before. Of a small picture it is the picture itself.
 *
 * @throws MatrixError M_UNKNOWN (400) if none can be made of such a file; M_TOO_LARGE;
 *   M_LIMIT_EXCEEDED if too many are being made.
 * @spec client-server-api#thumbnails
 */
export async function findThumbnail(
  hs: Homeserver,
  media: Media,
  asked: ThumbnailSpec,
): Promise<FoundThumbnail> {
  const spec: ThumbnailSpec = { ...asked, ...roundUp(asked, asked.method) };
  const stored = await findThumbnailRow(hs.sql, media.mediaKey, spec);
  if (stored) return stored;
  if (!PICTURES.has(essenceOf(media.contentType))) {
    throw new MatrixError("M_UNKNOWN", "Cannot generate thumbnails for the requested content", {
      status: 400,
    });
  }

  const inWork = inWorkOf(hs);
  const name = [media.mediaKey, spec.width, spec.height, spec.method, spec.animated].join(" ");
  const already = inWork.get(name);
  if (already) return await already;
  const made = make(hs, media, spec).finally(() => inWork.delete(name));
  inWork.set(name, made);
  return await made;
}

async function make(hs: Homeserver, media: Media, spec: ThumbnailSpec): Promise<FoundThumbnail> {
  const thumbnail = await inThumbnailPool(hs, async () => await measured(hs, media, spec));
  const of = { mediaKey: media.mediaKey, spec, most: MOST_THUMBNAILS };
  if (thumbnail.outcome === "original") {
    const itself = { ...media, contentType: thumbnail.contentType };
    await insertThumbnail(hs.sql, of, itself);
    return itself;
  }

  const { bytes, contentType } = thumbnail;
  const blobs = blobsOf(hs);
  const writer = await blobs.create();
  try {
    await writer.write([bytes]);
    await writer.commit();
  } catch (error) {
    await writer.discard();
    throw error;
  }
  const stored = { blobKey: writer.key, contentType, sizeBytes: bytes.length };
  if (await insertThumbnail(hs.sql, of, stored)) return stored;
  await blobs.remove([writer.key]);
  return { bytes, contentType };
}

async function measured(hs: Homeserver, media: Media, spec: ThumbnailSpec): Promise<Thumbnail> {
  const begun = performance.now();
  let outcome: Thumbnail["outcome"] | "refused" = "refused";
  try {
    const thumbnail = await blobsOf(hs).withFile(media.blobKey, async (path) => {
      const file = { path, sizeBytes: media.sizeBytes };
      return await makeThumbnail(file, spec, hs.config.media.maxThumbnailPixels);
    });
    outcome = thumbnail.outcome;
    return thumbnail;
  } finally {
    thumbnailSeconds.observe({ outcome }, (performance.now() - begun) / 1000);
  }
}
