import type { EventId } from "#src/kit/identifiers.ts";
import type { StoredEvent } from "./stored-event.ts";

/**
 * What an event may redact: what it names in either of the places in which room versions have that. They need not be the same,
 * and which of them counts only the room's version says.
 */
export function redactedIn({ type, wire, content }: StoredEvent): EventId[] {
  if (type !== "m.room.redaction") return [];
  return [...new Set([wire["redacts"], content["redacts"]])].filter(
    (it): it is EventId => typeof it === "string" && it.startsWith("$"),
  );
}
