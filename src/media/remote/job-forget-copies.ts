import { blobsOf } from "#src/homeserver/blobs.ts";
import type { Job } from "#src/jobs/job.ts";
import { bytesOfCopies, deleteCopies } from "../queries-media.ts";

const BATCH = 200;

/**
 * Forgets copies of other servers' media that nobody wants any more, or that there is no room for, as after the
 * operator has given them less. As they come they make room by themselves.
 */
export const forgetRemoteMedia: Job = {
  name: "forget-remote-media",
  everyMs: 30 * 60_000,

  async run(hs) {
    const { maxRemoteCopyBytes, remoteCopyLifetimeMs } = hs.config.media;
    const overBytes = (await bytesOfCopies(hs.sql)) - maxRemoteCopyBytes;
    const asked =
      overBytes > 0
        ? { before: hs.now(), limit: BATCH, mostBytes: overBytes }
        : { before: hs.now() - remoteCopyLifetimeMs, limit: BATCH };
    const { blobs } = await deleteCopies(hs.sql, asked);
    await blobsOf(hs).remove(blobs);
    return blobs.length === 0 ? "done" : "more";
  },
};
