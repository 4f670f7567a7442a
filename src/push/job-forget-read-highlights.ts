import type { Job } from "#src/jobs/job.ts";
import { deleteReadHighlights, lastEventBefore } from "./queries-unread.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** How long something that nobody reads stays highlighted. */
const KEPT_MS = 180 * DAY_MS;
const BATCH = 500;

/** Removes highlights that have been read, that nobody is there for any more, or that are very old. */
export const forgetReadHighlights: Job = {
  name: "forget-read-highlights",
  everyMs: 15 * 60_000,

  async run(hs) {
    const olderThan = await lastEventBefore(hs.sql, hs.now() - KEPT_MS);
    const gone = await deleteReadHighlights(hs.sql, { olderThan, limit: BATCH });
    return gone === BATCH ? "more" : "done";
  },
};
