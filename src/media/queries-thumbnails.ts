import type { BlobKey } from "#src/homeserver/blob-store.ts";
import type { Queryable } from "#src/homeserver/database.ts";
import type { ThumbnailSpec } from "./thumbnail-size.ts";

/** A thumbnail that has been made. */
export type StoredThumbnail = {
  readonly blobKey: BlobKey;
  readonly contentType: string;
  readonly sizeBytes: number;
};

export async function findThumbnailRow(
  sql: Queryable,
  mediaKey: number,
  spec: ThumbnailSpec,
): Promise<StoredThumbnail | undefined> {
  const [row] = await sql<StoredThumbnail[]>`
    select blob_key as "blobKey", content_type as "contentType", size_bytes as "sizeBytes"
    from media_thumbnails
    where media_key = ${mediaKey} and width = ${spec.width} and height = ${spec.height}
      and method = ${spec.method} and animated = ${spec.animated}`;
  return row;
}

/**
 * Stores a thumbnail, unless the media has as many as it may have, or has been deleted, or another
 * process was first.
 *
 * @returns whether it was stored.
 */
export async function insertThumbnail(
  sql: Queryable,
  of: { mediaKey: number; spec: ThumbnailSpec; most: number },
  thumbnail: StoredThumbnail,
): Promise<boolean> {
  const { mediaKey, spec, most } = of;
  const stored = await sql`
    insert into media_thumbnails
      (media_key, width, height, method, animated, blob_key, content_type, size_bytes)
    select media_key, ${spec.width}::int, ${spec.height}::int, ${spec.method}, ${spec.animated}::boolean,
      ${thumbnail.blobKey}, ${thumbnail.contentType}, ${thumbnail.sizeBytes}::bigint
    from media
    where media_key = ${mediaKey}
      and (select count(*) from media_thumbnails where media_key = ${mediaKey}) < ${most}
    on conflict do nothing`;
  return stored.count === 1;
}
