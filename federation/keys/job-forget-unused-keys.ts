import type { Job } from "#src/jobs/job.ts";
import { deleteUnusedKeys } from "./queries-keys.ts";

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

const BATCH = 1_000;

/** Forgets the keys of other servers that have verified nothing for a year. */
export const forgetUnusedKeys: Job = {
  name: "forget-unused-keys",
  everyMs: 24 * 60 * 60 * 1000,

  async run(hs) {
    const removed = await deleteUnusedKeys(hs, hs.now() - YEAR_MS, BATCH);
    return removed === BATCH ? "more" : "done";
  },
};
