import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { standingOf } from "#src/rooms/memberships.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { unlessEntered } from "../entries.ts";
import { claimUntold, forgetUntold, type UntoldRow } from "./queries-untold.ts";
import { tryToTell } from "./tell-leave.ts";

/** How many are told at once, and how long that may take until somebody else tries. */
const AT_ONCE = 20;
const LEASE_MS = 5 * 60_000;

/** For how long nobody's answering is put up with. */
const GIVE_UP_MS = 7 * 24 * 60 * 60_000;

/** Tells servers of users who are out of their rooms, where nobody could be told at once: after an outage, say. */
export const tellLeaves: Job = {
  name: "tell-leaves",
  everyMs: 15_000,
  async run(hs) {
    const rows = await claimUntold(hs.sql, { now: hs.now(), most: AT_ONCE, leaseMs: LEASE_MS });
    await Promise.all(rows.map(async (it) => await tellOne(hs, it)));
    return rows.length < AT_ONCE ? "done" : "more";
  },
};

/** While somebody enters the room, it is not known yet who is out of it. */
async function tellOne(hs: Homeserver, row: UntoldRow): Promise<void> {
  await unlessEntered(hs, row.roomId, async () => {
    const isLost = row.sinceMs < hs.now() - GIVE_UP_MS;
    if (isLost || !(await isStillOut(hs, row))) await forgetUntold(hs.sql, row);
    else await tryToTell(hs, row, row);
  });
}

/** Whether the user has not come to the room again, or been invited to it, since. */
async function isStillOut(
  hs: Homeserver,
  { roomId, userId, eventKey }: UntoldRow,
): Promise<boolean> {
  const userKey = (await findUserKeys(hs, [userId])).get(userId);
  const room = await findRoom(hs, roomId);
  const standing = room && userKey !== undefined && (await standingOf(hs, userKey, room.roomKey));
  if (!standing || standing.eventKey === eventKey) return true;
  return standing.membership === "leave" || standing.membership === "ban";
}
