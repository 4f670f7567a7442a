import { setTag } from "#src/account-data/tags.ts";
import { createAccount } from "#src/accounts/create-account.ts";
import { type Account, findAccount } from "#src/auth/find-account.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { type EventId, parseUserId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { leaveRoom } from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { memberDraft } from "#src/membership/member-draft.ts";
import { claimNoticeRoom, noticeRoomOf } from "#src/membership/notice-rooms.ts";
import { setMembership } from "#src/membership/set-membership.ts";
import { findRoom, type Room, roomsByKeys } from "#src/rooms/find-room.ts";
import type { Transaction } from "#src/rooms/room-write.ts";
import { sendEvent } from "#src/rooms/send-event.ts";

/** The tag by which clients know the room. @spec client-server-api#server-notices */
const TAG = "m.server_notice";

/** Something that the server tells one of its users. */
export type Notice = {
  readonly target: string;
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly content: CanonicalObject;
  /** So that the same request, made again, does not tell again. */
  readonly transaction: Transaction | undefined;
};

/**
 * Tells a user something in the server's name, in the one room that there is for that, to which they are
 * invited if they are not in it.
 *
 * @returns the ID of the event.
 * @throws MatrixError M_UNKNOWN (400) if no user is configured in whose name; M_INVALID_PARAM, M_NOT_FOUND of
 *   users who are not of this server; M_USER_IN_USE if the configured user is somebody.
 * @spec client-server-api#server-notices
 */
export async function sendNotice(hs: Homeserver, notice: Notice): Promise<EventId> {
  const { type, stateKey, content, transaction } = notice;
  const target = await requireTarget(hs, notice.target);
  const sender = await noticesUser(hs);
  const room = await roomFor(hs, sender, target);
  await setTag(hs, { userKey: target.userKey, roomKey: room.roomKey }, TAG, {});
  // Not by what the user has said of who may invite them: who runs the server always can.
  await setMembership(hs, {
    room,
    sender,
    draft: await memberDraft(hs, target.userId, "invite"),
    decide: (current) => current !== "join" && current !== "invite",
  });
  const draft = { type, content, ...(stateKey !== undefined && { state_key: stateKey }) };
  const eventId = await sendEvent(hs, {
    sender,
    room,
    draft,
    ...(transaction && { transaction }),
  });
  hs.log.info({ userId: target.userId, eventId }, "sent a server notice");
  return eventId;
}

async function requireTarget(hs: Homeserver, target: string): Promise<Account> {
  const userId = parseUserId(target);
  if (serverNameOf(userId) !== hs.name) {
    throw new MatrixError("M_INVALID_PARAM", "The user is not of this server");
  }
  const account = await findAccount(hs, userId);
  if (!account || account.deactivatedAtMs !== undefined) {
    throw new MatrixError("M_NOT_FOUND", "There is no such account");
  }
  return account;
}

/** In whose name users are told; made when it is first needed. Nobody can log in as that. */
async function noticesUser(hs: Homeserver): Promise<Requester> {
  const { localpart, displayName } = hs.config.serverNotices;
  if (localpart === null) {
    throw new MatrixError("M_UNKNOWN", "Server notices are not configured", { status: 400 });
  }
  const userId: UserId = `@${localpart}:${hs.name}`;
  const account = (await findAccount(hs, userId)) ?? (await makeUser(hs, userId, displayName));
  if (account.passwordHash !== undefined) {
    throw new MatrixError("M_USER_IN_USE", "The user of the server notices is somebody");
  }
  const { userKey } = account;
  return { userId, userKey, deviceId: "", deviceKey: 0, isAdmin: false, isGuest: false };
}

async function makeUser(
  hs: Homeserver,
  userId: UserId,
  displayname: string,
): Promise<Pick<Account, "userKey" | "passwordHash">> {
  try {
    return { ...(await createAccount(hs, { userId, displayname })), passwordHash: undefined };
  } catch (error) {
    // Another request has made it at the same moment.
    const account = await findAccount(hs, userId);
    if (account) return account;
    throw error;
  }
}

async function roomFor(hs: Homeserver, sender: Requester, target: Account): Promise<Room> {
  const known = await noticeRoomOf(hs, target.userKey);
  const room = known === undefined ? undefined : (await roomsByKeys(hs, [known])).get(known);
  return room ?? (await makeRoomFor(hs, sender, target));
}

async function makeRoomFor(hs: Homeserver, sender: Requester, target: Account): Promise<Room> {
  const roomId = await createRoom(hs, sender, {
    preset: "private_chat",
    name: hs.config.serverNotices.roomName,
    creation_content: { "m.federate": false },
    // The user reads, and says nothing.
    power_level_content_override: { users_default: -10 },
  });
  const room = await findRoom(hs, roomId);
  if (!room) throw new Error("a room was made and is not there");
  const roomKey = await claimNoticeRoom(hs, target.userKey, room.roomKey);
  if (roomKey === room.roomKey) return room;
  // Another request was first: this one is nobody's.
  await leaveRoom(hs, sender, { roomId });
  const claimed = (await roomsByKeys(hs, [roomKey])).get(roomKey);
  if (!claimed) throw new Error("the room of a user's notices is not there");
  return claimed;
}
