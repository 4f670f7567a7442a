import type { BlobStore } from "./blob-store.ts";
import { openDiskBlobs } from "./disk-blobs.ts";
import { held } from "./held.ts";
import { openS3Blobs } from "./s3-blobs.ts";

/** The blob store of a homeserver. */
export const blobsOf = held((hs): BlobStore => {
  const { s3, directory } = hs.config.media;
  const { bucket } = s3;
  if (bucket === null) return openDiskBlobs(directory);
  return openS3Blobs({ ...s3, bucket }, { directory, now: hs.now });
});
