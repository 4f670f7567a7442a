import type { Job } from "#src/jobs/job.ts";
import { deleteReports } from "./queries-reports.ts";

const BATCH = 1_000;
const KEPT_MS = 365 * 24 * 60 * 60 * 1000;

/** Forgets reports of a year ago. */
export const forgetReports: Job = {
  name: "forget-reports",
  everyMs: 24 * 60 * 60 * 1000,
  async run(hs) {
    const old = { olderThanMs: hs.now() - KEPT_MS, limit: BATCH };
    return (await deleteReports(hs.sql, old)) < BATCH ? "done" : "more";
  },
};
