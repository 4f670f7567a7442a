import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { BlobKey } from "#src/homeserver/blob-store.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
const number = (name: string) => bigint(name, { mode: "number" });

/**
 * What each `mxc://` URI stands for: ours from the moment that it is given out, other servers' once
 * we have a copy. The bytes are in the blob store.
 *
 * A row for which nothing has been uploaded goes when it expires; a copy of another server's, when
 * nobody has wanted it for long or copies take too much room (`forget-remote-media`). A blob
 * without a row is swept away.
 */
export const media = pgTable(
  "media",
  {
    mediaKey: number("media_key").primaryKey().generatedAlwaysAsIdentity(),
    /** The server in the URI. */
    origin: text("origin").$type<ServerName>().notNull(),
    mediaId: text("media_id").notNull(),
    /** Who uploads it. Null if it is another server's. */
    uploaderKey: number("uploader_key"),
    createdAtMs: number("created_at_ms").notNull(),
    /** Until when it has to be uploaded. Null once it is. */
    expiresAtMs: number("expires_at_ms"),
    /** Null until it is uploaded; so are the four that follow. */
    blobKey: text("blob_key").$type<BlobKey>(),
    contentType: text("content_type"),
    sizeBytes: number("size_bytes"),
    sha256: bytea("sha256"),
    /** Null if the uploader gave none. */
    filename: text("filename"),
    /** When somebody last wanted it, to the day. Null if it is ours. */
    usedMs: number("used_ms"),
  },
  (table) => [
    uniqueIndex("media_by_uri").on(table.mediaId, table.origin),
    // With the size, so that what a user has uploaded is summed up without looking at the rows.
    index("media_of_uploader").on(table.uploaderKey, table.sizeBytes),
    index("media_expiring")
      .on(table.expiresAtMs)
      .where(sql`expires_at_ms is not null`),
    uniqueIndex("media_by_blob").on(table.blobKey),
    index("media_of_others")
      .on(table.usedMs)
      .where(sql`used_ms is not null`),
  ],
);

/**
 * Thumbnails that have been made, at most `MOST_THUMBNAILS` of one media.
 *
 * Rows go with the media that they are of.
 */
export const mediaThumbnails = pgTable(
  "media_thumbnails",
  {
    mediaKey: number("media_key")
      .notNull()
      .references(() => media.mediaKey, { onDelete: "cascade" }),
    /** What was asked for, rounded up; the picture itself may be smaller. */
    width: integer("width").notNull(),
    height: integer("height").notNull(),
    method: text("method", { enum: ["crop", "scale"] }).notNull(),
    animated: boolean("animated").notNull(),
    blobKey: text("blob_key").$type<BlobKey>().notNull(),
    contentType: text("content_type").notNull(),
    sizeBytes: number("size_bytes").notNull(),
  },
  (table) => [
    primaryKey({
      columns: [table.mediaKey, table.width, table.height, table.method, table.animated],
    }),
    index("media_thumbnails_by_blob").on(table.blobKey),
  ],
);

/**
 * Media that administrators have had taken out of sight: served to nobody, whatever `media` has of them,
 * and of other servers not fetched again. A row need not have one in `media`.
 *
 * Rows go when the administrators change their minds.
 */
export const quarantinedMedia = pgTable(
  "quarantined_media",
  {
    origin: text("origin").$type<ServerName>().notNull(),
    mediaId: text("media_id").notNull(),
    quarantinedAtMs: number("quarantined_at_ms").notNull(),
    /** The administrator. */
    byUserKey: number("by_user_key").notNull(),
  },
  (table) => [primaryKey({ columns: [table.mediaId, table.origin] })],
);
