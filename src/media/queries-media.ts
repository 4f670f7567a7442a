import type { BlobKey } from "#src/homeserver/blob-store.ts";
import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Mxc } from "./mxc.ts";
import type { ReceivedBlob } from "./receive-blob.ts";

/** A row of `media`. What is null is described in the schema. */
export type MediaRow = {
  readonly mediaKey: number;
  readonly uploaderKey: number | null;
  readonly expiresAtMs: UnixMs | null;
  readonly blobKey: BlobKey | null;
  readonly contentType: string | null;
  readonly sizeBytes: number | null;
  readonly sha256: Uint8Array | null;
  readonly filename: string | null;
  readonly usedMs: UnixMs | null;
  readonly isQuarantined: boolean;
};

/** What an uploader says of the bytes. */
export type Description = {
  readonly contentType: string;
  readonly filename: string | undefined;
};

export async function findMediaRow(sql: Queryable, mxc: Mxc): Promise<MediaRow | undefined> {
  const [row] = await sql<MediaRow[]>`
    select media_key as "mediaKey", uploader_key as "uploaderKey", expires_at_ms as "expiresAtMs",
      blob_key as "blobKey", content_type as "contentType", size_bytes as "sizeBytes", sha256, filename,
      used_ms as "usedMs", quarantined_at_ms is not null as "isQuarantined"
    from media left join quarantined_media using (media_id, origin)
    where media_id = ${mxc.mediaId} and origin = ${mxc.origin}`;
  return row;
}

/** Stores what has been uploaded under a new URI. */
export async function insertMedia(
  sql: Queryable,
  mxc: Mxc,
  about: Description & ReceivedBlob & { uploaderKey: number; now: UnixMs },
): Promise<void> {
  await sql`
    insert into media (origin, media_id, uploader_key, created_at_ms,
      blob_key, content_type, size_bytes, sha256, filename)
    values (${mxc.origin}, ${mxc.mediaId}, ${about.uploaderKey}, ${about.now},
      ${about.blobKey}, ${about.contentType}, ${about.sizeBytes}, ${about.sha256},
      ${about.filename ?? null})`;
}

/** Stores a copy of another server's media, unless another process was first. @returns whether it was stored. */
export async function insertCopy(
  sql: Queryable,
  mxc: Mxc,
  about: Description & ReceivedBlob & { now: UnixMs },
): Promise<boolean> {
  const stored = await sql`
    insert into media (origin, media_id, created_at_ms, used_ms,
      blob_key, content_type, size_bytes, sha256, filename)
    values (${mxc.origin}, ${mxc.mediaId}, ${about.now}, ${about.now},
      ${about.blobKey}, ${about.contentType}, ${about.sizeBytes}, ${about.sha256},
      ${about.filename ?? null})
    on conflict (media_id, origin) do nothing`;
  return stored.count === 1;
}

/** Notes that somebody wants a copy of another server's media. */
export async function touchCopy(sql: Queryable, mediaKey: number, now: UnixMs): Promise<void> {
  await sql`update media set used_ms = ${now} where media_key = ${mediaKey}`;
}

/** How much room the copies of other servers' media take, with their thumbnails. In bytes. */
export async function bytesOfCopies(sql: Queryable): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`
    select (
      (select coalesce(sum(size_bytes), 0) from media where used_ms is not null)
      + (select coalesce(sum(thumbnails.size_bytes), 0)
        from media_thumbnails as thumbnails join media using (media_key)
        where media.used_ms is not null and thumbnails.blob_key <> media.blob_key)
    )::bigint as bytes`;
  return row?.bytes ?? 0;
}

/**
 * Deletes the copies that have been wanted the least lately.
 *
 * @param mostBytes how much room is wanted: no more go than make it.
 * @returns their blobs, those of thumbnails too, and how much room they took.
 */
export async function deleteCopies(
  sql: Queryable,
  {
    before,
    limit,
    mostBytes = Number.MAX_SAFE_INTEGER,
  }: { before: UnixMs; limit: number; mostBytes?: number },
): Promise<{ readonly blobs: BlobKey[]; readonly bytes: number }> {
  const rows = await sql<{ blobKey: BlobKey; bytes: number }[]>`
    with least as (
      select media_key, blob_key, used_ms, size_bytes + (
        select coalesce(sum(size_bytes), 0) from media_thumbnails as thumbnails
        where thumbnails.media_key = media.media_key and thumbnails.blob_key <> media.blob_key
      )::bigint as bytes
      from media where used_ms < ${before} order by used_ms, media_key limit ${limit}
    ), summed as (
      select *, sum(bytes) over (order by used_ms, media_key) - bytes as made from least
    ), old as (
      select * from summed where made < ${mostBytes}
    ), thumbnails as (
      select media_thumbnails.blob_key from media_thumbnails join old using (media_key)
    ), gone as (
      delete from media using old where media.media_key = old.media_key
    )
    select blob_key as "blobKey", bytes from old
    union all select blob_key, 0 from thumbnails`;
  return {
    blobs: rows.map((it) => it.blobKey),
    bytes: rows.reduce((sum, it) => sum + it.bytes, 0),
  };
}

/**
 * Stores a URI for which nothing has been uploaded, if its user has fewer of them than the limit.
 *
 * @param tx has the user locked.
 * @returns whether it was stored.
 */
export async function insertPendingMedia(
  tx: Tx,
  mxc: Mxc,
  about: { uploaderKey: number; now: UnixMs; expiresAtMs: UnixMs; limit: number },
): Promise<boolean> {
  const stored = await tx`
    insert into media (origin, media_id, uploader_key, created_at_ms, expires_at_ms)
    select ${mxc.origin}, ${mxc.mediaId}, ${about.uploaderKey}::bigint, ${about.now}::bigint,
      ${about.expiresAtMs}::bigint
    where (
      select count(*) from media
      where uploader_key = ${about.uploaderKey} and expires_at_ms > ${about.now}
    ) < ${about.limit}`;
  return stored.count === 1;
}

/** How many files a user has uploaded, and how large they are together. */
export async function usageOf(
  sql: Queryable,
  uploaderKey: number,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const [row] = await sql<{ files: number; bytes: number }[]>`
    select count(size_bytes) as files, coalesce(sum(size_bytes), 0)::bigint as bytes
    from media where uploader_key = ${uploaderKey}`;
  return row ?? { files: 0, bytes: 0 };
}

/** Stores what has been uploaded for a URI that waited for it. @returns whether it still did. */
export async function fillMedia(
  sql: Queryable,
  mediaKey: number,
  about: Description & ReceivedBlob,
): Promise<boolean> {
  const filled = await sql`
    update media set blob_key = ${about.blobKey}, content_type = ${about.contentType},
      size_bytes = ${about.sizeBytes}, sha256 = ${about.sha256}, filename = ${about.filename ?? null},
      expires_at_ms = null
    where media_key = ${mediaKey} and blob_key is null`;
  return filled.count === 1;
}

/** Those of the media for which nothing has been uploaded yet. */
export async function stillPending(
  sql: Queryable,
  mediaKeys: readonly number[],
): Promise<Set<number>> {
  const rows = await sql<{ mediaKey: number }[]>`
    select media_key as "mediaKey" from media
    where media_key = any(${mediaKeys}::bigint[]) and blob_key is null`;
  return new Set(rows.map((row) => row.mediaKey));
}

/** Deletes media that nobody has uploaded in time. @returns how many. */
export async function deleteExpired(
  sql: Queryable,
  before: UnixMs,
  limit: number,
): Promise<number> {
  const deleted = await sql`
    delete from media where blob_key is null and media_key in (
      select media_key from media where expires_at_ms < ${before} limit ${limit}
    )`;
  return deleted.count;
}

/** Those of the blobs that something names. */
export async function knownBlobs(
  sql: Queryable,
  blobKeys: readonly BlobKey[],
): Promise<Set<BlobKey>> {
  const rows = await sql<{ blobKey: BlobKey }[]>`
    select blob_key as "blobKey" from media where blob_key = any(${blobKeys}::text[])
    union all
    select blob_key from media_thumbnails where blob_key = any(${blobKeys}::text[])`;
  return new Set(rows.map((row) => row.blobKey));
}
