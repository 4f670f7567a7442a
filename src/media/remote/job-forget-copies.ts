import { blobsOf } from "#src/homeserver/blobs.ts";
import type { Job } from "#src/jobs/job.ts";
import { bytesOfCopies, deleteCopies } from "../queries-media.ts";

const BATCH = 200;

/** Fewer where there is no room: more of them might have to go than needed. */
const SMALL_BATCH = 20;

/** Forgets copies of other servers' media that nobody wants any more, or that there is no room for. */
export const forgetRemoteMedia: Job = {
  name: "forget-remote-media",
  everyMs: 30 * 60_000,

  async run(hs) {
    const { maxRemoteCopyBytes, remoteCopyLifetimeMs } = hs.config.media;
    const isTooMuch = (await bytesOfCopies(hs.sql)) > maxRemoteCopyBytes;
    const before = isTooMuch ? hs.now() : hs.now() - remoteCopyLifetimeMs;
    const limit = isTooMuch ? SMALL_BATCH : BATCH;
    const blobs = await deleteCopies(hs.sql, { before, limit });
    await blobsOf(hs).remove(blobs);
    return blobs.length === 0 ? "done" : "more";
  },
};
