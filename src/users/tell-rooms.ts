import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { type CanonicalObject, laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { type Room, roomsByKeys } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import { profileByKey, type ShownProfile } from "./profile.ts";
import {
  advanceUpdate,
  claimUpdate,
  finishUpdate,
  joinedRoomsAfter,
  type Progress,
  releaseUpdate,
  waitingUpdates,
} from "./queries-profile-updates.ts";

/** How many rooms are told at once. */
const AT_ONCE = 20;

type Owner = { readonly userKey: number; readonly userId: UserId };

/**
 * Tells rooms of the profiles that changed and of which no process is telling them, as after a crash.
 *
 * @spec client-server-api#events-on-change-of-profile-information
 */
export const tellRoomsOfProfiles: Job = {
  name: "tell-rooms-of-profiles",
  everyMs: 15_000,
  async run(hs, signal) {
    let owners = await waitingUpdates(hs, { afterKey: 0, limit: 10 });
    while (owners.length > 0) {
      for (const owner of owners) {
        if (signal.aborted) return "done";
        await tellOf(hs, owner);
      }
      owners = await waitingUpdates(hs, { afterKey: owners.at(-1)?.userKey ?? 0, limit: 10 });
    }
    return "done";
  },
};

/** What is wrong with one profile is no reason to tell of no other. It is tried again by the next run. */
async function tellOf(hs: Homeserver, owner: Owner): Promise<void> {
  try {
    await tellRooms(hs, owner);
  } catch (error) {
    if (hs.stopping.aborted) return;
    hs.log.error({ err: error, userId: owner.userId }, "rooms cannot be told of a profile");
  }
}

/** Begins to tell the rooms of a user's profile. What is not done when the process ends, the job does. */
export function tellRoomsSoon(hs: Homeserver, owner: Owner): void {
  tellRooms(hs, owner).catch((error: unknown) => {
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot tell rooms of a profile now");
  });
}

/**
 * Tells every room that a user is joined to of their name and picture, by a member event. One process
 * does it at a time; if the profile changes meanwhile, it begins anew. Rooms that cannot be told now, as their policy server
 * does not answer, are told by a later run.
 */
async function tellRooms(hs: Homeserver, owner: Owner): Promise<void> {
  let progress = await claimUpdate(hs, owner.userKey);
  try {
    while (progress && !hs.stopping.aborted) progress = await tellNextRooms(hs, owner, progress);
  } catch (error) {
    if (!hs.stopping.aborted) await releaseUpdate(hs, owner.userKey);
    throw error;
  }
}

/** @returns from where to go on; undefined if there is nothing more to tell. */
async function tellNextRooms(
  hs: Homeserver,
  owner: Owner,
  { generation, afterRoomKey }: Progress,
): Promise<Progress | undefined> {
  const { userKey } = owner;
  const keys = await joinedRoomsAfter(hs, userKey, { afterRoomKey, limit: AT_ONCE });
  const last = keys.at(-1);
  if (last === undefined) {
    const isDone = await finishUpdate(hs, userKey, { generation, afterRoomKey });
    return isDone ? undefined : await advanceUpdate(hs, userKey, { generation, afterRoomKey });
  }
  // Read after the generation was: at worst it is newer, and then the rooms are told once more.
  const profile = await profileByKey(hs.sql, userKey);
  const rooms = await roomsByKeys(hs, keys);
  const putOff: number[] = [];
  await Promise.all(
    [...rooms.values()].map(async (room) => {
      if (!(await tellRoom(hs, owner, room, profile))) putOff.push(room.roomKey);
    }),
  );
  const again = putOff.length > 0 ? Math.min(...putOff) - 1 : undefined;
  return await advanceUpdate(hs, userKey, { generation, afterRoomKey: last, again });
}

/** @returns false if it is to be tried again. */
async function tellRoom(
  hs: Homeserver,
  owner: Owner,
  room: Room,
  profile: ShownProfile,
): Promise<boolean> {
  const before = await stateEvent(hs, room.roomKey, "m.room.member", owner.userId);
  if (!before || before.content["membership"] !== "join") return true;
  const shown = shownContent(before, room.rules);
  const content = memberContent(shown, profile);
  // Rooms of old versions may hold numbers that others may not.
  if (laxCanonicalJson(content) === laxCanonicalJson(shown)) return true;
  try {
    await sendEvent(hs, {
      sender: owner,
      room,
      draft: { type: "m.room.member", state_key: owner.userId, content },
      check(making) {
        // Who has left meanwhile must not be brought back by this.
        const now = making.lookup("m.room.member", owner.userId);
        if (now?.content["membership"] !== "join") {
          throw new MatrixError("M_FORBIDDEN", "The user has left the room");
        }
      },
    });
  } catch (error) {
    // A room may refuse it; the others are to be told all the same.
    if (!(error instanceof MatrixError)) throw error;
    hs.log.debug({ err: error, roomId: room.roomId }, "a room was not told of a profile");
    return !error.isForNow;
  }
  return true;
}

/** What of a join is about its circumstances, and not about who has joined. */
const OF_THE_JOIN = ["join_authorised_via_users_server", "third_party_invite", "reason"];

/** The content of a join with another name and picture. */
function memberContent(before: CanonicalObject, profile: ShownProfile): CanonicalObject {
  const kept = Object.entries(before).filter(
    ([key]) => key !== "displayname" && key !== "avatar_url" && !OF_THE_JOIN.includes(key),
  );
  return { ...Object.fromEntries(kept), ...profile };
}
