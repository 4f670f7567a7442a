import type { Job } from "#src/jobs/job.ts";
import { deleteTypingUntil } from "./queries-typing.ts";

/** How long a row stays after its user has stopped: processes that are behind must still find it. */
const KEPT_MS = 10 * 60_000;
const BATCH = 1_000;

/** Removes those who have long stopped typing. */
export const forgetTyping: Job = {
  name: "forget-typing",
  everyMs: 5 * 60_000,

  async run(hs) {
    const gone = await deleteTypingUntil(hs.sql, hs.now() - KEPT_MS, BATCH);
    return gone === BATCH ? "more" : "done";
  },
};
