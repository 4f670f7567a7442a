import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { someOfStatesAt } from "#src/rooms/current-state.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { leaveRoom } from "./change-members.ts";
import { forgetGuestRooms, guestRoomsToLookAt, guestsIn, noteLookedAt } from "./queries-guests.ts";

const ROOMS_AT_A_TIME = 200;

const GUEST_ACCESS: StatePair = ["m.room.guest_access", ""];

/**
 * Makes guests leave rooms that do not let guests in any more. Looks only at rooms with guests whose state is
 * another than when it was looked at last, or that guests could not be made to leave then, as the policy server did not answer.
 *
 * @spec client-server-api#guest-access
 */
export const dismissGuests: Job = {
  name: "dismiss-guests",
  everyMs: 2_000,
  followsStreams: true,
  isStirredBy: ({ detail }) => detail instanceof StoredEvent && detail.type === GUEST_ACCESS[0],
  async run(hs, signal) {
    const rooms = await guestRoomsToLookAt(hs.sql, { now: hs.now(), most: ROOMS_AT_A_TIME });
    if (rooms.length === 0) {
      await forgetGuestRooms(hs.sql);
      return "done";
    }
    const roots = rooms.map((it) => it.root);
    const stuck = new Set<number>();
    const states = await someOfStatesAt(hs, roots, [GUEST_ACCESS]);
    for (const { roomKey, roomId, root } of rooms) {
      if (signal.aborted) return "done";
      const event = states.get(root)?.get(pairKey(...GUEST_ACCESS));
      const { guest_access } = event?.redactedBy === undefined ? (event?.content ?? {}) : {};
      if (guest_access === "can_join") continue;
      if (!(await dismiss(hs, { roomKey, roomId }))) stuck.add(roomKey);
    }
    await noteLookedAt(hs.sql, rooms, { now: hs.now(), stuck });
    return rooms.length < ROOMS_AT_A_TIME ? "done" : "more";
  },
};

/** @returns false if it is to be tried again. */
async function dismiss(
  hs: Homeserver,
  { roomKey, roomId }: { readonly roomKey: number; readonly roomId: RoomId },
): Promise<boolean> {
  let isDone = true;
  for (const { userId, userKey } of await guestsIn(hs.sql, roomKey)) {
    const guest = { userId, userKey, deviceId: "", deviceKey: 0, isAdmin: false, isGuest: true };
    try {
      await leaveRoom(hs, guest, { roomId });
      hs.log.info({ roomId, userId }, "a guest has left a room that lets none in any more");
    } catch (error) {
      // The others are to leave all the same.
      if (!(error instanceof MatrixError)) throw error;
      hs.log.warn({ err: error, roomId, userId }, "a guest could not be made to leave a room");
      if (error.isForNow) isDone = false;
    }
  }
  return isDone;
}
