import { requireInvitable } from "#src/account-data/require-invitable.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { type RoomId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { redactSenders } from "#src/rooms/mass-redaction/redact-senders.ts";
import { REDACT_EVENTS } from "#src/rooms/mass-redaction/removal.ts";
import { requireJoined, standingOf } from "#src/rooms/memberships.ts";
import { membersKnown } from "#src/rooms/partial/partial-rooms.ts";
import { isRoomHere } from "#src/rooms/residents.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { memberDraft } from "./member-draft.ts";
import { noticeRoomOf } from "./notice-rooms.ts";
import { inviteOutsideUser } from "./outside/invite-outside-user.ts";
import { leaveOutsideRoom } from "./outside/leave-outside-room.ts";
import { setMembership } from "./set-membership.ts";

export type MemberRequest = {
  readonly roomId: RoomId;
  readonly target: UserId;
  /** Why, for people to read. */
  readonly reason?: string | undefined;
  /** Of one who is removed: whether what they sent is redacted, if whoever removes them may do that (MSC4293). */
  readonly redactEvents?: boolean | undefined;
};

/**
 * Invites a user. To invite one who is invited already changes nothing.
 *
 * @throws MatrixError M_FORBIDDEN if the sender may not, or the user is joined or banned; M_INVITE_BLOCKED if the
 *   user does not want it.
 * @spec client-server-api#post_matrixclientv3roomsroomidinvite
 */
export async function inviteUser(
  hs: Homeserver,
  requester: Requester,
  { roomId, target, reason }: MemberRequest,
): Promise<void> {
  const room = await requireJoined(hs, requester, roomId);
  const draft = await memberDraft(hs, target, "invite", reasonOf(reason));
  if (serverNameOf(target) !== hs.name) {
    await membersKnown(hs, room.roomKey);
    const standing = await standingOf(hs, await userKeyOf(hs, target), room.roomKey);
    if (standing?.membership === "invite") return;
    await inviteOutsideUser(hs, { room, sender: requester.userId, draft });
    return;
  }
  await requireInvitable(hs, requester.userId, [target]);
  await setMembership(hs, {
    room,
    sender: requester,
    draft,
    decide: (current) => current !== "invite" || requester.userId === target,
  });
}

/**
 * Leaves a room, or declines an invitation, or takes back a knock. Of one who has left already
 * nothing is changed.
 *
 * @throws MatrixError M_FORBIDDEN if the user has never been in the room, or is banned from it;
 *   M_CANNOT_LEAVE_SERVER_NOTICE_ROOM of an invitation to hear what the server has to say.
 * @spec client-server-api#post_matrixclientv3roomsroomidleave
 */
export async function leaveRoom(
  hs: Homeserver,
  requester: Requester,
  { roomId, reason }: Omit<MemberRequest, "target">,
): Promise<void> {
  const room = await findRoom(hs, roomId);
  const standing = room && (await standingOf(hs, requester.userKey, room.roomKey));
  if (!room || !standing) throw new MatrixError("M_FORBIDDEN", "You are not in this room");
  // Of a room that this server is not in, nothing else says so.
  if (standing.membership === "leave") return;
  const draft = await memberDraft(hs, requester.userId, "leave", reasonOf(reason));
  if (
    standing.membership === "invite" &&
    (await noticeRoomOf(hs, requester.userKey)) === room.roomKey
  ) {
    throw new MatrixError(
      "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM",
      "You cannot decline what the server has to say",
    );
  }
  const isWaiting = standing.membership === "invite" || standing.membership === "knock";
  if (isWaiting && !(await isRoomHere(hs.sql, room.roomKey))) {
    await leaveOutsideRoom(hs, requester, { room, standing, draft });
    return;
  }
  await setMembership(hs, {
    room,
    sender: requester,
    draft,
    decide: (current) => current !== "leave",
  });
}

/**
 * Removes a user from a room.
 *
 * @throws MatrixError M_FORBIDDEN if the sender may not, or the user is not in the room.
 * @spec client-server-api#post_matrixclientv3roomsroomidkick
 */
export async function kickUser(
  hs: Homeserver,
  requester: Requester,
  request: MemberRequest,
): Promise<void> {
  await setOther(hs, requester, request, {
    membership: "leave",
    decide(current) {
      if (current === "join" || current === "invite" || current === "knock") return true;
      throw new MatrixError("M_FORBIDDEN", "The user is not in the room");
    },
  });
}

/**
 * Bans a user from a room. To ban one who is banned already changes nothing.
 *
 * @throws MatrixError M_FORBIDDEN if the sender may not.
 * @spec client-server-api#post_matrixclientv3roomsroomidban
 */
export async function banUser(
  hs: Homeserver,
  requester: Requester,
  request: MemberRequest,
): Promise<void> {
  await setOther(hs, requester, request, {
    membership: "ban",
    decide: (current) => current !== "ban",
  });
}

/**
 * Lifts a ban.
 *
 * @throws MatrixError M_FORBIDDEN if the sender may not; M_BAD_STATE if the user is not banned.
 * @spec client-server-api#post_matrixclientv3roomsroomidunban
 */
export async function unbanUser(
  hs: Homeserver,
  requester: Requester,
  request: MemberRequest,
): Promise<void> {
  await setOther(hs, requester, request, {
    membership: "leave",
    decide(current) {
      if (current === "ban") return true;
      throw new MatrixError("M_BAD_STATE", "The user is not banned", { status: 403 });
    },
  });
}

/**
 * Takes a room that the user has left out of all that is told them of.
 *
 * @throws MatrixError M_UNKNOWN (400) if the user has not left it; M_NOT_FOUND if it is unknown.
 * @spec client-server-api#post_matrixclientv3roomsroomidforget
 */
export async function forgetRoom(
  hs: Homeserver,
  requester: Requester,
  roomId: RoomId,
): Promise<void> {
  const room = await findRoom(hs, roomId);
  const standing = room && (await standingOf(hs, requester.userKey, room.roomKey));
  if (!room || !standing) throw new MatrixError("M_NOT_FOUND", "You have never been in this room");
  if (standing.membership !== "leave" && standing.membership !== "ban") {
    throw new MatrixError("M_UNKNOWN", "You have not left this room", { status: 400 });
  }
  await hs.sql`
    update memberships set forgotten = true
    where user_key = ${requester.userKey} and room_key = ${room.roomKey}
      and membership in ('leave', 'ban')`;
}

async function setOther(
  hs: Homeserver,
  requester: Requester,
  { roomId, target, reason, redactEvents }: MemberRequest,
  {
    membership,
    decide,
  }: { membership: "leave" | "ban"; decide: (current: string | undefined) => boolean },
): Promise<void> {
  const room: Room = await requireJoined(hs, requester, roomId);
  await setMembership(hs, {
    room,
    sender: requester,
    draft: await memberDraft(hs, target, membership, {
      ...reasonOf(reason),
      ...(redactEvents !== undefined && { [REDACT_EVENTS]: redactEvents }),
    }),
    decide,
  });
  // Who looks afterwards sees it.
  if (redactEvents) await redactSenders(hs);
}

function reasonOf(reason: string | undefined): CanonicalObject {
  return reason === undefined ? {} : { reason };
}
