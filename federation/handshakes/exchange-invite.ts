import { requireInvitable } from "#src/account-data/require-invitable.ts";
import { findAccount } from "#src/auth/find-account.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { type RoomId, type ServerName, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { inviteOutsideUser } from "#src/membership/outside/invite-outside-user.ts";
import { draftOnHead } from "#src/rooms/draft-on-head.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { signedByPolicy } from "#src/rooms/policy/write-signed.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { isResident } from "#src/rooms/residents.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { requireResidentRoom } from "./resident-room.ts";

/** That somebody who was invited by an address has turned out to be a user. */
export type BoundInvite = {
  readonly roomId: RoomId;
  /** Who has invited the address. */
  readonly sender: UserId;
  readonly userId: UserId;
  /** `display_name`, and what the identity server has signed. */
  readonly thirdPartyInvite: CanonicalObject;
};

/**
 * Invites a user of another server in place of the address by which one of our users had invited them.
 *
 * @throws MatrixError M_NOT_FOUND of a room that this server is not in; M_FORBIDDEN if neither is so.
 * @spec server-server-api#put_matrixfederationv1exchange_third_party_inviteroomid
 */
export async function exchangeInvite(
  hs: Homeserver,
  origin: ServerName,
  invite: BoundInvite,
): Promise<void> {
  const { roomId, sender, userId } = invite;
  const room = await requireResidentRoom(hs, origin, roomId);
  if (serverNameOf(userId) !== origin || serverNameOf(sender) !== hs.name) {
    throw new MatrixError(
      "M_FORBIDDEN",
      "The invitation is not from a user of ours to one of yours",
    );
  }
  await inviteOutsideUser(hs, { room, sender, draft: draftOf(invite) });
}

/**
 * Invites a user of ours who has bound an address by which they had been invited: in a room that we are in,
 * by ourselves; else by the server of whoever had invited them.
 *
 * @throws MatrixError M_FORBIDDEN if the user is not ours, or the room does not allow it.
 * @spec server-server-api#put_matrixfederationv13pidonbind
 */
export async function takeBoundInvite(hs: Homeserver, invite: BoundInvite): Promise<void> {
  const { roomId, sender, userId } = invite;
  const account = serverNameOf(userId) === hs.name ? await findAccount(hs, userId) : undefined;
  if (!account) throw new MatrixError("M_FORBIDDEN", "There is no such user here");
  await requireInvitable(hs, sender, [userId]);
  const room = await findRoom(hs, roomId);
  if (room && (await isResident(hs.sql, room.roomKey))) {
    await inviteInRoom(hs, room, invite);
    return;
  }
  const event = { ...draftOf(invite), room_id: roomId, sender };
  const server = serverNameOf(sender);
  const answer = await hs.remotes.exchangeThirdPartyInvite(server, { roomId, event });
  if (answer.ok) return;
  hs.log.info({ roomId, server, why: answer.why }, "an invitation was not exchanged");
}

/** Whoever had invited the address need not be of this server: what counts is what the identity server has signed. */
async function inviteInRoom(hs: Homeserver, room: Room, invite: BoundInvite): Promise<void> {
  const drafted = await draftOnHead(hs, room, { draft: draftOf(invite), sender: invite.sender });
  const { event, json } = await signedByPolicy(hs, room, drafted.event);
  await receiveEvents(hs, room, [{ event, json }], { as: "live", isRelayed: true });
  const stored = (await findEvents(hs, [event.event_id])).get(event.event_id);
  if (stored?.status === EventStatus.accepted) return;
  throw new MatrixError("M_FORBIDDEN", "The room does not allow the invitation");
}

function draftOf({ userId, thirdPartyInvite }: BoundInvite): EventDraft & { state_key: UserId } {
  const content = { membership: "invite", third_party_invite: thirdPartyInvite };
  return { type: "m.room.member", state_key: userId, content };
}
