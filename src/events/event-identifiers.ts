import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { MAX_FIELD_BYTES } from "./size-limits.ts";

/**
 * Whether events may name this user: historical IDs included, with any characters in the localpart,
 * or none. Rooms are full of them, and every server must come to the same verdict.
 *
 * @spec appendices#historical-user-ids
 */
export function isUserId(value: unknown): value is UserId {
  if (typeof value !== "string" || !value.startsWith("@")) return false;
  const colon = value.indexOf(":");
  return colon > 0 && colon < value.length - 1 && fits(value, MAX_FIELD_BYTES);
}

/** Whether events may name this event, be its ID one with a domain or a hash. */
export function isEventId(value: unknown): value is EventId {
  return (
    typeof value === "string" &&
    value.startsWith("$") &&
    value.length > 1 &&
    fits(value, MAX_FIELD_BYTES)
  );
}

/** Whether a text has at most `max` bytes in UTF-8. Most are so short that nobody need count. */
export function fits(text: string, max: number): boolean {
  return text.length * 3 <= max || (text.length <= max && Buffer.byteLength(text) <= max);
}
