import { requireInvitable } from "#src/account-data/require-invitable.ts";
import { findAccount } from "#src/auth/find-account.ts";
import { checkContentHash } from "#src/events/event-hash.ts";
import { isUserId } from "#src/events/event-identifiers.ts";
import { signEvent } from "#src/events/event-signatures.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { wireText } from "#src/events/wire-text.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RawPdu } from "#src/homeserver/remotes.ts";
import { type EventId, type RoomId, type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { checkPdus } from "#src/rooms/received/check-pdus.ts";
import { ensureRoom } from "#src/rooms/received/ensure-room.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { readToldState } from "#src/rooms/received/read-told-state.ts";
import { doorsFor } from "../inbound/doors.ts";
import { droppedEvent, invalidEvent, readMemberEvent } from "./read-member-event.ts";

/** An invitation of a user of this server to a room, by another server. */
export type ReceivedInvitation = {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  /** The room's version. */
  readonly version: string;
  readonly pdu: RawPdu;
  /** What the other server tells of the room. */
  readonly roomState: readonly unknown[];
};

/**
 * Takes an invitation of one of our users by a user of another server, and signs it as seen.
 *
 * @returns the event with our signature.
 * @throws MatrixError M_INCOMPATIBLE_ROOM_VERSION; M_INVALID_PARAM if it is no such invitation, or what is
 *   told of the room is not the room's; M_FORBIDDEN of a user who is not here; M_INVITE_BLOCKED; as `readMemberEvent`.
 * @spec server-server-api#put_matrixfederationv2inviteroomideventid
 */
export async function receiveInvite(
  hs: Homeserver,
  origin: ServerName,
  invitation: ReceivedInvitation,
): Promise<WireEvent> {
  const { roomId, version } = invitation;
  const door = (await doorsFor(hs, origin, [roomId])).get(roomId);
  if (door?.isOurs && door.isDenied) {
    throw new MatrixError("M_FORBIDDEN", "Your server is denied in this room");
  }
  const rules = ROOM_VERSIONS.get(version);
  if (!rules) {
    throw new MatrixError("M_INCOMPATIBLE_ROOM_VERSION", "This server has no such room version", {
      fields: { room_version: version },
    });
  }
  const { event, wire } = readMemberEvent(origin, rules, { ...invitation, membership: "invite" });
  await requireSigned(hs, rules, invitation.pdu, wire);
  const user = event.state_key;
  if (!isUserId(user) || serverNameOf(user) !== hs.name) {
    throw invalidEvent("it is not about a user of this server");
  }
  const account = await findAccount(hs, user);
  if (!account || account.deactivatedAtMs !== undefined) {
    throw new MatrixError("M_FORBIDDEN", "There is no such user here");
  }
  await requireInvitable(hs, event.sender, [user]);
  const strippedState = await readToldState(hs, invitation.roomState, { roomId, rules });
  const signed = signEvent(wire, rules, hs.name, hs.signingKey);
  const room = await ensureRoom(hs, roomId, rules);
  if (room.rules !== rules) throw invalidEvent("the room has another version");
  // If this server is in the room, the invitation will come with all that happens there.
  await storeOutsideMembership(hs, {
    room,
    received: { event, json: wireText(signed, rules) },
    membership: "invite",
    told: { strippedState, by: origin },
  });
  return signed;
}

/** @throws MatrixError M_INVALID_PARAM without its server's signature, or with another's hash; M_BAD_JSON */
async function requireSigned(
  hs: Homeserver,
  rules: RoomVersionRules,
  pdu: RawPdu,
  wire: WireEvent,
): Promise<void> {
  const setting = { rules, keys: hs.remotes.verifyKeys, now: hs.now() };
  const [checked] = await checkPdus([pdu], setting);
  if (!checked) throw invalidEvent("it is none");
  if (!checked.ok) throw droppedEvent(checked);
  if (!checkContentHash(wire)) throw invalidEvent("it is not what its server has hashed");
}
