import type { Job } from "#src/jobs/job.ts";
import { roomsByKeys } from "../find-room.ts";
import { fillHoles } from "./fill-holes.ts";
import { roomsWithHoles } from "./queries-holes.ts";

/** How many rooms are worked on at once. */
const ROOMS_AT_A_TIME = 5;

/**
 * Fills the holes that rooms got while this server was in them: what it was not told, or could not place.
 * What is before its own coming is fetched when somebody wants to read it.
 */
export const fillOwedHoles: Job = {
  name: "fill-holes",
  everyMs: 5_000,
  async run(hs, signal) {
    const keys = await roomsWithHoles(hs.sql, hs.now(), ROOMS_AT_A_TIME);
    if (keys.length === 0) return "done";
    const rooms = [...(await roomsByKeys(hs, keys)).values()];
    await Promise.all(rooms.map(async (room) => await fillHoles(hs, room, signal)));
    return "more";
  },
};
