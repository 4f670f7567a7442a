import type { EventId } from "#src/kit/identifiers.ts";
import type { Pdu, RoomGraph } from "../pdu.ts";

/**
 * The create event of an event's room as the event itself says: one of its `auth_events`, or, from
 * room version 12, the one whose ID is the room's.
 *
 * @returns undefined if it is not in the graph or was rejected.
 * @spec rooms/v12#event-format
 */
export function createEventOf(event: Pdu, graph: RoomGraph): Pdu | undefined {
  for (const id of event.auth_events) {
    const create = acceptedCreate(id, graph);
    if (create) return create;
  }
  return acceptedCreate(`$${event.room_id.slice(1)}`, graph);
}

function acceptedCreate(id: EventId, { events, rejected }: RoomGraph): Pdu | undefined {
  const event = events.get(id);
  const isCreate = event?.type === "m.room.create" && event.state_key === "";
  return isCreate && !rejected.has(id) ? event : undefined;
}
