import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { Receipt } from "#src/rooms/received/receive-events.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { receivePdus } from "../inbound/receive-pdu.ts";
import { withAuthorisersSignature } from "./join-authorisers.ts";
import {
  droppedEvent,
  invalidEvent,
  readMemberEvent,
  type SentMember,
} from "./read-member-event.ts";
import { requireResidentRoom } from "./resident-room.ts";

/**
 * Takes a member event of another server's user into a room, as one that we have to tell others of.
 *
 * @returns the event, as part of the room.
 * @throws MatrixError M_NOT_FOUND of a room that this server is not in; M_INVALID_PARAM if it is not an
 *   event such as we proposed, or the server has not signed it; M_FORBIDDEN if the room does not let the user; as
 *   `readMemberEvent`; of joins, as `authoriserOf`; 502 if the room's policy server cannot be asked.
 * @spec server-server-api#put_matrixfederationv2send_joinroomideventid
 */
export async function acceptMember(
  hs: Homeserver,
  origin: ServerName,
  member: SentMember,
): Promise<{ room: Room; event: StoredEvent }> {
  const room = await requireResidentRoom(hs, origin, member.roomId);
  const read = readMemberEvent(origin, room.rules, member);
  const { event: sent } = read;
  if (sent.state_key !== sent.sender) throw invalidEvent("it is not about its sender");
  await requireKnown(hs, room, sent.prev_events);
  const pdu = await withAuthorisersSignature(hs, room, read);
  const how = { origin, isRelayed: true } as const;
  const { receipts, dropped } = await receivePdus(hs, room, [pdu], how);
  const [fault] = dropped;
  if (fault) throw droppedEvent(fault);
  const event = (await findEvents(hs, [member.eventId])).get(member.eventId);
  if (event?.status === EventStatus.accepted) return { room, event };
  const receipt = receipts.get(member.eventId);
  if (!receipt) {
    throw new MatrixError("M_UNKNOWN", "The room's policy server cannot be asked", { status: 502 });
  }
  throw new MatrixError("M_FORBIDDEN", reasonOf(receipt));
}

/** @throws MatrixError M_INVALID_PARAM of an event that follows others than we have proposed: we go looking for nothing. */
async function requireKnown(
  hs: Homeserver,
  { roomKey }: Room,
  prevEvents: readonly EventId[],
): Promise<void> {
  const before = await findEvents(hs, prevEvents);
  const isKnown = (id: EventId) => before.get(id)?.roomKey === roomKey;
  if (prevEvents.length > 0 && prevEvents.every(isKnown)) return;
  throw invalidEvent("it does not follow the events that were proposed");
}

function reasonOf(receipt: Receipt): string {
  return "reason" in receipt ? receipt.reason : "The room does not take the event";
}
