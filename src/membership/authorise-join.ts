import { readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { isRoomId, type RoomId, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { stateEvent, statesAt } from "#src/rooms/current-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { membersOfRoom } from "#src/rooms/memberships.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import { allowedRoomsOf } from "./queries-allowed-rooms.ts";

const JOIN_RULES: StatePair = ["m.room.join_rules", ""];

/** A user who wants to join. */
export type Joiner = {
  /** Undefined of one of whom no room here has ever spoken. */
  readonly userKey: number | undefined;
  readonly isLocal: boolean;
};

/**
 * Who lets a user, of this server or another, into a restricted room: a member of this server who may
 * invite, if the user is in one of the rooms that the join rules name.
 *
 * @param stateRoot the room's current state.
 * @returns undefined if the room is not restricted.
 * @throws MatrixError M_FORBIDDEN if the user is in none of those rooms; M_UNABLE_TO_AUTHORISE_JOIN if we
 *   cannot know that, not being in all of them, or not knowing all of their members yet; M_UNABLE_TO_GRANT_JOIN if nobody here may invite.
 * @spec server-server-api#restricted-rooms
 */
export async function authoriserOf(
  hs: Homeserver,
  { userKey, isLocal }: Joiner,
  { roomKey, rules }: Room,
  stateRoot: number,
): Promise<UserId | undefined> {
  const states = await statesAt(hs, stateRoot, [JOIN_RULES]);
  const joinRules = states.get(pairKey(...JOIN_RULES))?.content;
  if (!isRestricted(joinRules?.["join_rule"], rules)) return undefined;
  const roomIds = allowedRooms(joinRules?.["allow"]);
  const known = await allowedRoomsOf(hs.sql, roomIds, userKey ?? null);
  if (known.some((it) => it.isIn)) return await inviterIn(hs, roomKey, rules);
  const isUnsure = known.length < roomIds.length || known.some((it) => !it.isKnown);
  // Of our own users we know in which rooms they are.
  if (isUnsure && !isLocal) {
    throw new MatrixError("M_UNABLE_TO_AUTHORISE_JOIN", "This server cannot see who may join");
  }
  throw new MatrixError("M_FORBIDDEN", "You are in none of the rooms whose members may join");
}

function isRestricted(joinRule: unknown, rules: Room["rules"]): boolean {
  if (joinRule === "restricted") return rules.restrictedJoins;
  return joinRule === "knock_restricted" && rules.knockRestrictedJoins;
}

/** The rooms whose members a join rule lets in. What is not understood lets nobody in. */
function allowedRooms(allow: unknown): RoomId[] {
  if (!Array.isArray(allow)) return [];
  const named = allow.flatMap((it: unknown) => {
    if (typeof it !== "object" || it === null) return [];
    const { type, room_id } = it as Record<string, unknown>;
    return type === "m.room_membership" && isRoomId(room_id) ? [room_id] : [];
  });
  return [...new Set(named)];
}

/** A member of this server who may invite. */
async function inviterIn(hs: Homeserver, roomKey: number, rules: Room["rules"]): Promise<UserId> {
  const [create, powerLevels, members] = await Promise.all([
    stateEvent(hs, roomKey, "m.room.create", ""),
    stateEvent(hs, roomKey, "m.room.power_levels", ""),
    membersOfRoom(hs, roomKey, ["join"]),
  ]);
  if (create) {
    const levels = readPowerLevels(powerLevels?.pdu(rules), create.pdu(rules), rules);
    const needed = levels.named("invite");
    const inviter = members.find((it) => it.local && levels.powerOf(it.userId) >= needed);
    if (inviter) return inviter.userId;
  }
  throw new MatrixError(
    "M_UNABLE_TO_GRANT_JOIN",
    "Nobody of this server who could let you in is in the room",
  );
}
