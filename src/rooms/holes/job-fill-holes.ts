import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { workOnRooms } from "#src/jobs/work-on-rooms.ts";
import { type Room, roomsByKeys } from "../find-room.ts";
import { fillHoles } from "./fill-holes.ts";
import { roomsWithHoles } from "./queries-holes.ts";

/**
 * Fills the holes that rooms got while this server was in them: what it was not told, or could not place.
 * What is before its own coming is fetched when somebody wants to read it.
 */
export const fillOwedHoles: Job = {
  name: "fill-holes",
  everyMs: 5_000,
  async run(hs, signal) {
    await workOnRooms(signal, {
      due: async (most) => await roomsWithHoles(hs.sql, hs.now(), most),
      async work(roomKey) {
        const room = (await roomsByKeys(hs, [roomKey])).get(roomKey);
        if (room) await fillRoom(hs, room, signal);
      },
    });
    return "done";
  },
};

/** For how long one room is worked on at a time: whoever is asked what it lacks may take theirs. */
const LONGEST_MS = 5 * 60_000;

/** What is wrong with one room is no reason to leave the others as they are. */
async function fillRoom(hs: Homeserver, room: Room, signal: AbortSignal): Promise<void> {
  try {
    await fillHoles(hs, room, AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]));
  } catch (error) {
    if (signal.aborted) return;
    hs.log.error({ err: error, roomId: room.roomId }, "what a room lacks makes us fail");
  }
}
