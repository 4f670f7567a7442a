import type { CanonicalObject, CanonicalValue } from "#src/kit/canonical-json.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import { roomIdOfCreate } from "./event-hash.ts";
import type { WireEvent } from "./pdu.ts";
import type { RoomVersionRules } from "./room-versions.ts";
import { STICKY } from "./sticky.ts";

/** An event as clients get it. @spec client-server-api#room-event-format */
export type ClientEvent = {
  readonly content: CanonicalObject;
  readonly event_id: EventId;
  readonly [STICKY]?: CanonicalValue;
  readonly origin_server_ts: number;
  readonly redacts?: string;
  readonly room_id: RoomId;
  readonly sender: string;
  readonly state_key?: string;
  readonly type: string;
  readonly unsigned?: CanonicalObject;
};

/**
 * The client form of an event: what a client may know of it, the room ID also where the event itself
 * has none, and `redacts` both in the content and beside it. What counts is where the room version has it: what an event
 * says in the other place may be another, which nobody has allowed it to redact.
 *
 * @param eventId the ID, which since room version 3 the event does not hold.
 * @param unsigned what this server adds, such as `transaction_id`; left out if there is nothing.
 * @spec rooms/v11#moving-the-redacts-property-of-mroomredaction-events-to-a-content-property
 */
export function clientEvent(
  eventId: EventId,
  wire: WireEvent,
  rules: RoomVersionRules,
  unsigned?: CanonicalObject,
): ClientEvent {
  const { type, state_key } = wire as { type: string; state_key?: string };
  const content = wire["content"] as CanonicalObject;
  const sticky = wire[STICKY];
  const holder = rules.redactsInContent ? content : wire;
  const redacts = type === "m.room.redaction" ? holder["redacts"] : undefined;
  const moved = typeof redacts === "string" && content["redacts"] !== redacts;
  return {
    content: moved ? { ...content, redacts } : content,
    event_id: eventId,
    ...(sticky !== undefined && { [STICKY]: sticky }),
    origin_server_ts: wire["origin_server_ts"] as number,
    ...(typeof redacts === "string" && { redacts }),
    room_id: (wire["room_id"] as RoomId | undefined) ?? roomIdOfCreate(eventId),
    sender: wire["sender"] as string,
    ...(state_key !== undefined && { state_key }),
    type,
    ...(unsigned !== undefined && hasKeys(unsigned) && { unsigned }),
  };
}

function hasKeys(object: { readonly [key: string]: CanonicalValue }): boolean {
  return Object.keys(object).length > 0;
}
