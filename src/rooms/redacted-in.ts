import type { EventId } from "#src/kit/identifiers.ts";
import type { StoredEvent } from "./stored-event.ts";

/** What an event redacts, wherever its room version puts that; undefined if it is no redaction, or names nothing. */
export function redactedIn({ type, wire, content }: StoredEvent): EventId | undefined {
  if (type !== "m.room.redaction") return undefined;
  const redacts = wire["redacts"] ?? content["redacts"];
  return typeof redacts === "string" ? (redacts as EventId) : undefined;
}
