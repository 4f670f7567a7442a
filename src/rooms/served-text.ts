import { redact } from "#src/events/redact.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { wireText } from "#src/events/wire-text.ts";
import type { StoredEvent } from "./stored-event.ts";

/** The text of an event for other servers: as it was signed, or what its redaction has left of it. */
export function servedText(event: StoredEvent, rules: RoomVersionRules): string {
  if (event.redactedBy === undefined) return event.json;
  return wireText(redact(event.wire, rules), rules);
}
