import type { Job } from "#src/jobs/job.ts";
import { deleteExpired } from "./queries-media.ts";

/** An upload that began in time may come to its end. */
const GRACE_MS = 60 * 60 * 1000;

const BATCH = 500;

/** Takes back the URIs that were given out and for which nothing has been uploaded in time. */
export const removeExpiredUploads: Job = {
  name: "remove-expired-uploads",
  everyMs: 10 * 60 * 1000,

  async run(hs) {
    const removed = await deleteExpired(hs.sql, hs.now() - GRACE_MS, BATCH);
    return removed === BATCH ? "more" : "done";
  },
};
