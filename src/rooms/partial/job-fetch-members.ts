import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { workOnRooms } from "#src/jobs/work-on-rooms.ts";
import { finishPartialRoom } from "./finish-partial-room.ts";
import { duePartialRooms } from "./queries-partial.ts";

/** Fetches the members of rooms to which we have come without them, where that was not done at once: after a crash, say. */
export const fetchMembers: Job = {
  name: "fetch-members",
  everyMs: 5_000,
  async run(hs, signal) {
    await workOnRooms(signal, {
      due: async (most) => await duePartialRooms(hs.sql, hs.now(), most),
      work: async (roomKey) => await finish(hs, roomKey, signal),
    });
    return "done";
  },
};

/** What is wrong with one room is no reason to leave the others as they are. */
async function finish(hs: Homeserver, roomKey: number, signal: AbortSignal): Promise<void> {
  try {
    await finishPartialRoom(hs, roomKey, signal);
  } catch (error) {
    if (signal.aborted) return;
    hs.log.error({ err: error, roomKey }, "a room's members cannot be taken in");
  }
}
