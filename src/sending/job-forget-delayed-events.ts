import type { Job } from "#src/jobs/job.ts";
import { deleteEnded } from "./queries-delayed-events.ts";

const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
const KEPT_PER_USER = 1_000;
const BATCH = 500;

/** Forgets what became of delayed events, after a while. */
export const forgetDelayedEvents: Job = {
  name: "forget-delayed-events",
  everyMs: 60 * 60_000,

  async run(hs) {
    const beforeMs = hs.now() - KEPT_MS;
    const gone = await deleteEnded(hs.sql, { beforeMs, kept: KEPT_PER_USER, limit: BATCH });
    return gone === BATCH ? "more" : "done";
  },
};
