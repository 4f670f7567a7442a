import type { Job } from "#src/jobs/job.ts";

const BATCH = 1_000;

/** A client that comes back later than this begins again, which is not slower for it. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/** Forgets connections that have not been used for long. */
export const forgetConnections: Job = {
  name: "forget-connections",
  everyMs: 60 * 60_000,
  async run(hs) {
    const { count } = await hs.sql`
      delete from sliding_connections where told_key = any(array(
        select told_key from sliding_connections where used_ms < ${hs.now() - KEPT_MS}
        limit ${BATCH}))`;
    return count < BATCH ? "done" : "more";
  },
};
