import type { Job } from "#src/jobs/job.ts";
import { deleteUnsharedLists } from "./queries-remote-lists.ts";

const BATCH = 500;

/** Forgets the devices of users of other servers with whom nobody here shares a room. */
export const forgetRemoteLists: Job = {
  name: "forget-remote-device-lists",
  everyMs: 60 * 60_000,
  async run(hs) {
    const gone = await deleteUnsharedLists(hs.sql, BATCH);
    return gone === BATCH ? "more" : "done";
  },
};
