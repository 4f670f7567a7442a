import type { Job } from "#src/jobs/job.ts";
import { finishPartialRooms } from "./finish-partial-room.ts";

/** How many rooms are worked on at once. */
const ROOMS_AT_A_TIME = 4;

/** Fetches the members of rooms to which we have come without them, where that was not done at once: after a crash, say. */
export const fetchMembers: Job = {
  name: "fetch-members",
  everyMs: 5_000,
  async run(hs, signal) {
    const taken = await finishPartialRooms(hs, { until: signal, most: ROOMS_AT_A_TIME });
    return taken < ROOMS_AT_A_TIME ? "done" : "more";
  },
};
