import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { fits, isEventId } from "./event-identifiers.ts";
import { MAX_FIELD_BYTES } from "./size-limits.ts";

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
  if (!isName(relType) || !isEventId(eventId) || !isName(eventId)) return undefined;
  return { relType, eventId };
}

/** The root of the thread that an event says it is in, if one. */
export function threadRootOf(content: CanonicalObject): EventId | undefined {
  const relation = relationOf(content);
  return relation?.relType === "m.thread" ? relation.eventId : undefined;
}

/** What names anything has no NUL, nor more bytes than other names: the database can hold no such thing. */
function isName(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0") && fits(value, MAX_FIELD_BYTES);
}
