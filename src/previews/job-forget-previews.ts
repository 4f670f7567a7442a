import type { Job } from "#src/jobs/job.ts";
import { deletePreviews } from "./queries-previews.ts";

const KEPT_MS = 24 * 60 * 60 * 1000;
const BATCH = 1_000;

/** Forgets what URLs led to a day ago. */
export const forgetPreviews: Job = {
  name: "forget-previews",
  everyMs: 60 * 60_000,

  async run(hs) {
    const gone = await deletePreviews(hs.sql, { beforeMs: hs.now() - KEPT_MS, limit: BATCH });
    return gone === BATCH ? "more" : "done";
  },
};
