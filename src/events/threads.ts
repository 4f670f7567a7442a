import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId } from "#src/kit/identifiers.ts";

/** The part of a room's timeline that is in no thread, where receipts and counts tell threads apart. */
export const MAIN_TIMELINE = "main";

/** The root of a thread, or `main`. @spec client-server-api#threaded-read-receipts */
export type ThreadId = EventId | typeof MAIN_TIMELINE;

export type Relation = { readonly relType: string; readonly eventId: EventId };

/**
 * How an event relates to another, if it does.
 *
 * @spec client-server-api#forming-relationships-between-events
 */
export function relationOf(content: CanonicalObject): Relation | undefined {
  const relation = content["m.relates_to"];
  if (typeof relation !== "object" || relation === null) return undefined;
  const { rel_type: relType, event_id: eventId } = relation as Record<string, unknown>;
  if (typeof relType !== "string" || relType.includes("\0") || !isEventId(eventId)) {
    return undefined;
  }
  return { relType, eventId };
}

/** The root of the thread that an event says it is in, if one. */
export function threadRootOf(content: CanonicalObject): EventId | undefined {
  const relation = relationOf(content);
  return relation?.relType === "m.thread" ? relation.eventId : undefined;
}

function isEventId(value: unknown): value is EventId {
  // What names anything has no NUL, and the database can hold none.
  return typeof value === "string" && value.startsWith("$") && !value.includes("\0");
}
