import type { DeviceOwner } from "#src/devices/create-device.ts";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import { forgetUserKeys } from "#src/encryption/forget-user-keys.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { leaveRoom } from "#src/membership/change-members.ts";
import { forgetSettings } from "#src/push/forget-settings.ts";
import { clearProfile } from "#src/users/set-profile.ts";
import {
  endLeaving,
  leaveAgain,
  leavingAccounts,
  leavingAfter,
  noteLeft,
  roomsToLeave,
} from "./queries-leaving.ts";

/** How many rooms are left at once. */
const AT_ONCE = 20;

/** For how long it is tried again to leave rooms that cannot be left, and looked whether an ended account has come to others. */
const MOST_MS = 24 * 60 * 60_000;

/**
 * Finishes what was begun when accounts were deactivated, as after a crash. Which rooms one is still in, or in again, is seen
 * by its memberships, whatever process has brought it there.
 */
export const finishDeactivations: Job = {
  name: "finish-deactivations",
  everyMs: 60_000,
  async run(hs, signal) {
    await leaveAgain(hs.sql, hs.now() - MOST_MS);
    let owners = await leavingAccounts(hs.sql, 0);
    while (owners.length > 0) {
      for (const owner of owners) {
        if (signal.aborted) return "done";
        await finish(hs, owner);
      }
      owners = await leavingAccounts(hs.sql, owners.at(-1)?.userKey ?? 0);
    }
    return "done";
  },
};

/** What is wrong with one account is no reason to leave the others as they are. It is tried again by the next run. */
async function finish(hs: Homeserver, owner: DeviceOwner): Promise<void> {
  try {
    await forgetUserKeys(hs, owner.userKey);
    await deleteDevices(hs, owner, "all");
    await clearProfile(hs, owner.userKey);
    await leaveRooms(hs, owner);
  } catch (error) {
    if (hs.stopping.aborted) return;
    hs.log.error({ err: error, userId: owner.userId }, "an account cannot be brought to its end");
  }
}

/** Begins to leave the rooms of a deactivated account. What is not done when the process ends, the job does. */
export function leaveRoomsSoon(hs: Homeserver, owner: DeviceOwner): void {
  leaveRooms(hs, owner).catch((error: unknown) => {
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot leave all rooms now");
  });
}

/**
 * Leaves every room of a deactivated account, and declines its invitations. To leave a room twice
 * changes nothing, so it does no harm if two processes are about it. What cannot be left now, as the room's policy server
 * does not answer, is left by a later run.
 */
async function leaveRooms(hs: Homeserver, owner: DeviceOwner): Promise<void> {
  const { userKey } = owner;
  while (!hs.stopping.aborted) {
    const after = await leavingAfter(hs.sql, userKey);
    if (after === undefined) return;
    const rooms = await roomsToLeave(hs.sql, { userKey, after, limit: AT_ONCE });
    const last = rooms.at(-1);
    if (!last) {
      await forgetSettings(hs, userKey);
      if (await endLeaving(hs.sql, { userKey, after })) return;
      continue;
    }
    await Promise.all(rooms.map(async (it) => await leaveOne(hs, owner, it.roomId)));
    await noteLeft(hs.sql, { userKey, after, upTo: last.roomKey });
  }
}

async function leaveOne(hs: Homeserver, owner: DeviceOwner, roomId: RoomId): Promise<void> {
  const leaver: Requester = {
    ...owner,
    deviceId: "",
    deviceKey: 0,
    isAdmin: false,
    isGuest: false,
  };
  try {
    await leaveRoom(hs, leaver, { roomId });
  } catch (error) {
    // A room may refuse it; the others are to be left all the same.
    if (!(error instanceof MatrixError)) throw error;
    hs.log.info({ err: error, roomId, userId: owner.userId }, "a room could not be left");
  }
}
