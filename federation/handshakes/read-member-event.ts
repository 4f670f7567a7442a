import { parsePdu } from "#src/events/parse-pdu.ts";
import type { Pdu, WireEvent } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { RawPdu } from "#src/homeserver/remotes.ts";
import { type EventId, type RoomId, type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import { type Errcode, MatrixError } from "#src/kit/matrix-error.ts";

/** A member event that another server sends by itself, and what it says of it. */
export type SentMember = {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly membership: "join" | "knock" | "leave" | "invite";
  readonly pdu: RawPdu;
};

/**
 * Reads a member event of a handshake: so nobody has us sign, or send on, what they like.
 *
 * @throws MatrixError M_BAD_JSON or M_TOO_LARGE if it is none, M_INVALID_PARAM if it is not what it is said to be, or
 *   of another server's user.
 * @spec server-server-api#put_matrixfederationv2send_joinroomideventid
 */
export function readMemberEvent(
  origin: ServerName,
  rules: RoomVersionRules,
  { roomId, eventId, membership, pdu }: SentMember,
): { readonly event: Pdu; readonly wire: WireEvent } {
  const parsed = parsePdu(pdu, rules);
  if (!parsed.ok) throw refusedEvent(parsed.errcode, parsed.reason);
  const { event, wire } = parsed;
  if (event.event_id !== eventId) throw invalidEvent("it has another event ID");
  if (event.room_id !== roomId) throw invalidEvent("it is of another room");
  if (event.type !== "m.room.member") throw invalidEvent("it is no member event");
  if (event.content["membership"] !== membership) throw invalidEvent("it has another membership");
  if (serverNameOf(event.sender) !== origin) throw invalidEvent("its sender is not of your server");
  return { event, wire };
}

export function invalidEvent(reason: string): MatrixError {
  return refusedEvent("M_INVALID_PARAM", reason);
}

/** Of an event that fails one of the first checks: of form, or of signatures. */
export function droppedEvent({ check, reason }: { check: 1 | 2; reason: string }): MatrixError {
  return refusedEvent(check === 1 ? "M_BAD_JSON" : "M_INVALID_PARAM", reason);
}

function refusedEvent(errcode: Errcode, reason: string): MatrixError {
  return new MatrixError(errcode, `The event is not accepted: ${reason}`);
}
