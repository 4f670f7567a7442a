import type { BlobStore } from "./blob-store.ts";
import { openDiskBlobs } from "./disk-blobs.ts";
import { held } from "./held.ts";

/** The blob store of a homeserver. */
export const blobsOf = held((hs): BlobStore => openDiskBlobs(hs.config.media.directory));
