import type { WireEvent } from "#src/events/pdu.ts";
import { redact } from "#src/events/redact.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { StoredEvent } from "./stored-event.ts";

/** What of an event may be seen: of a redacted one, what its redaction has left. */
export function shownWire(event: StoredEvent, rules: RoomVersionRules): WireEvent {
  return event.redactedBy === undefined ? event.wire : redact(event.wire, rules);
}

/** What of an event's content may be seen. */
export function shownContent(event: StoredEvent, rules: RoomVersionRules): CanonicalObject {
  if (event.redactedBy === undefined) return event.content;
  return shownWire(event, rules)["content"] as CanonicalObject;
}
