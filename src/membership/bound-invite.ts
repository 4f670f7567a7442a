import { requireInvitable } from "#src/account-data/require-invitable.ts";
import { findAccount } from "#src/auth/find-account.ts";
import { signingKeys } from "#src/events/auth-rules/third-party-signature.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { isKeyValid } from "#src/identity-servers/key-validity.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { type RoomId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { draftOnHead } from "#src/rooms/draft-on-head.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { standingOf } from "#src/rooms/memberships.ts";
import { signedByPolicy } from "#src/rooms/policy/write-signed.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { isResident } from "#src/rooms/residents.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { bodyOf } from "./outside/refusals.ts";

/** That somebody who was invited by an address has turned out to be a user. */
export type BoundInvite = {
  readonly roomId: RoomId;
  /** Who has invited the address. */
  readonly sender: UserId;
  readonly userId: UserId;
  /** What the identity server has signed. */
  readonly signed: CanonicalObject;
};

/**
 * Invites a user of ours who has bound an address by which they had been invited.
 *
 * @throws MatrixError M_FORBIDDEN if the user is not ours, or the room does not allow it; M_INVITE_BLOCKED; 502 if
 *   who has to be asked is of no help.
 * @spec server-server-api#put_matrixfederationv13pidonbind
 */
export async function takeBoundInvite(hs: Homeserver, invite: BoundInvite): Promise<void> {
  const { sender, userId } = invite;
  const account = serverNameOf(userId) === hs.name ? await findAccount(hs, userId) : undefined;
  if (!account || account.deactivatedAtMs !== undefined) {
    throw new MatrixError("M_FORBIDDEN", "There is no such user here");
  }
  await requireInvitable(hs, sender, [userId]);
  await redeemInvite(hs, invite);
}

/**
 * Invites a user of ours by what shows that an address is theirs: in a room that we are in by ourselves, else by the
 * server of whoever had invited the address. Who is in the room, or invited, stays so.
 *
 * @throws MatrixError M_FORBIDDEN if it does not show that, or the room does not allow it; 502 if who has to be asked is
 *   of no help.
 * @spec client-server-api#third-party-invites
 */
export async function redeemInvite(hs: Homeserver, invite: BoundInvite): Promise<void> {
  const { roomId, sender, userId, signed } = invite;
  const room = await findRoom(hs, roomId);
  if (room && (await isInvitedAlready(hs, room, userId))) return;
  if (room && (await isResident(hs.sql, room.roomKey))) {
    await inviteInRoom(hs, room, invite);
    return;
  }
  const server = serverNameOf(sender);
  if (server === hs.name) {
    throw new MatrixError("M_FORBIDDEN", "Nobody has invited this user by an address");
  }
  const draft = draftOf(userId, { display_name: "", signed });
  const event = { ...draft, room_id: roomId, sender };
  bodyOf(server, await hs.remotes.exchangeThirdPartyInvite(server, { roomId, event }));
}

/**
 * Whether a user is in a room or invited to it, so that nothing shows who they are any more: the room's rules would
 * have an invitation by an address turn a member into one who is invited.
 */
export async function isInvitedAlready(
  hs: Homeserver,
  { roomKey }: Room,
  userId: UserId,
): Promise<boolean> {
  const userKey = (await findUserKeys(hs, [userId])).get(userId);
  const standing = userKey === undefined ? undefined : await standingOf(hs, userKey, roomKey);
  return standing?.membership === "join" || standing?.membership === "invite";
}

/** The most keys of which it is asked whether they are valid. */
const MOST_KEYS = 3;

/**
 * The invitation of a user in place of that of an address, with the name under which the address was invited. That
 * the identity server still stands by the key is for us to find out: nobody else in the room may.
 *
 * @throws MatrixError M_FORBIDDEN if nobody has invited the address, or the user has not shown that it is theirs;
 *   502 if nobody can say whether the key is valid.
 * @spec client-server-api#third-party-invites
 */
export async function boundDraft(
  hs: Homeserver,
  room: Room,
  { sender, userId, signed }: BoundInvite,
): Promise<EventDraft> {
  const { mxid, token } = signed;
  const invitation =
    typeof token === "string"
      ? await stateEvent(hs, room.roomKey, "m.room.third_party_invite", token)
      : undefined;
  if (!invitation || invitation.sender !== sender || mxid !== userId) {
    throw new MatrixError("M_FORBIDDEN", "Nobody has invited this user by an address");
  }
  const { content } = invitation;
  await requireValidKey(hs, signed, content);
  const { display_name } = content;
  const shown = typeof display_name === "string" ? display_name : "";
  return draftOf(userId, { display_name: shown, signed });
}

async function requireValidKey(
  hs: Homeserver,
  signed: CanonicalObject,
  invitation: CanonicalObject,
): Promise<void> {
  let failure: MatrixError | undefined;
  for (const key of signingKeys(signed, invitation).take(MOST_KEYS)) {
    try {
      if (await isKeyValid(hs, key)) return;
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      failure = error;
    }
  }
  throw failure ?? new MatrixError("M_FORBIDDEN", "No valid key vouches for the address");
}

/** Whoever had invited the address need not be of this server: what counts is what the identity server has signed. */
async function inviteInRoom(hs: Homeserver, room: Room, invite: BoundInvite): Promise<void> {
  const draft = await boundDraft(hs, room, invite);
  const drafted = await draftOnHead(hs, room, { draft, sender: invite.sender });
  const { event, json } = await signedByPolicy(hs, room, drafted.event);
  await receiveEvents(hs, room, [{ event, json }], { as: "live", isRelayed: true });
  const stored = (await findEvents(hs, [event.event_id])).get(event.event_id);
  if (stored?.status === EventStatus.accepted) return;
  throw new MatrixError("M_FORBIDDEN", "The room does not allow the invitation");
}

function draftOf(userId: UserId, thirdPartyInvite: CanonicalObject): EventDraft {
  const content = { membership: "invite", third_party_invite: thirdPartyInvite };
  return { type: "m.room.member", state_key: userId, content };
}
