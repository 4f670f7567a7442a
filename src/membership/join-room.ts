import { readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { membersOfRoom, standingOf } from "#src/rooms/memberships.ts";
import { memberDraft } from "./member-draft.ts";
import { setMembership } from "./set-membership.ts";

/**
 * Joins a user to a room. Of one who is joined already nothing is changed.
 *
 * @param further what the client adds to the member event's content, such as a `reason`.
 * @returns the member event; undefined if there was nothing to do.
 * @throws MatrixError M_NOT_FOUND of an unknown room; M_FORBIDDEN if the room's rules keep the user out.
 * @spec client-server-api#joining-rooms
 */
export async function joinRoom(
  hs: Homeserver,
  requester: Requester,
  roomId: RoomId,
  further: CanonicalObject = {},
): Promise<EventId | undefined> {
  const room = await findRoom(hs, roomId);
  if (!room) throw new MatrixError("M_NOT_FOUND", "This server knows no such room");
  const standing = await standingOf(hs, requester.userKey, room.roomKey);
  if (standing?.membership === "join") return undefined;
  if (requester.isGuest) await requireGuestAccess(hs, room);

  const authoriser =
    standing?.membership === "invite" ? undefined : await authoriserOf(hs, requester, room);
  const draft = await memberDraft(hs, requester.userId, "join", {
    ...further,
    ...(authoriser !== undefined && { join_authorised_via_users_server: authoriser }),
  });
  return await setMembership(hs, {
    room,
    sender: requester,
    draft,
    decide: (current) => current !== "join",
  });
}

/** @spec client-server-api#guest-access */
async function requireGuestAccess(hs: Homeserver, { roomKey }: Room): Promise<void> {
  const event = await stateEvent(hs, roomKey, "m.room.guest_access", "");
  if (event?.content["guest_access"] !== "can_join") {
    throw new MatrixError("M_GUEST_ACCESS_FORBIDDEN", "Guests may not join this room");
  }
}

/**
 * Who lets a user into a restricted room: a member who may invite, if the user is in one of the rooms
 * that the join rules name.
 *
 * @returns undefined if the room is not restricted.
 * @throws MatrixError M_FORBIDDEN if the user is in none of those rooms.
 * @spec client-server-api#restricted-rooms
 */
async function authoriserOf(
  hs: Homeserver,
  { userKey }: Requester,
  { roomKey, rules }: Room,
): Promise<UserId | undefined> {
  const joinRules = (await stateEvent(hs, roomKey, "m.room.join_rules", ""))?.content;
  const joinRule = joinRules?.["join_rule"];
  const restricted =
    (rules.restrictedJoins && joinRule === "restricted") ||
    (rules.knockRestrictedJoins && joinRule === "knock_restricted");
  if (!restricted) return undefined;
  for (const roomId of allowedRooms(joinRules?.["allow"])) {
    const allowed = await findRoom(hs, roomId);
    if (!allowed) continue;
    if ((await standingOf(hs, userKey, allowed.roomKey))?.membership === "join") {
      return await inviterIn(hs, roomKey, rules);
    }
  }
  throw new MatrixError("M_FORBIDDEN", "You are in none of the rooms whose members may join");
}

/** The rooms whose members a join rule lets in. What is not understood lets nobody in. */
function allowedRooms(allow: unknown): RoomId[] {
  if (!Array.isArray(allow)) return [];
  return allow.flatMap((it: unknown) => {
    if (typeof it !== "object" || it === null) return [];
    const { type, room_id } = it as Record<string, unknown>;
    if (type !== "m.room_membership" || typeof room_id !== "string") return [];
    return room_id.startsWith("!") ? [room_id as RoomId] : [];
  });
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
