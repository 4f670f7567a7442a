import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** What can be searched, by the wire's names, and which events have it. @spec client-server-api#room_events */
export const SEARCH_KEYS = {
  "content.body": "m.room.message",
  "content.name": "m.room.name",
  "content.topic": "m.room.topic",
} as const;

export type SearchKey = keyof typeof SEARCH_KEYS;

/**
 * What of an event is searched, after its newest edit.
 *
 * @returns undefined if there is nothing.
 */
export function searchableText(event: StoredEvent, edit?: StoredEvent): string | undefined {
  if (event.redactedBy !== undefined) return undefined;
  const { type, stateKey, content } = event;
  if (type === "m.room.message" && stateKey === undefined) {
    const changed = edit?.content["m.new_content"];
    const { body } = isObject(changed) ? changed : content;
    if (typeof body !== "string") return undefined;
    return repliesTo(content) ? withoutFallback(body) : body;
  }
  if (stateKey !== "") return undefined;
  if (type === "m.room.name") return textIn(content, "name");
  if (type !== "m.room.topic") return undefined;
  const texts = [textIn(content, "topic"), ...plainTexts(content["m.topic"])];
  const known = texts.filter((it) => it !== undefined);
  return known.length > 0 ? [...new Set(known)].join("\n") : undefined;
}

/** @spec client-server-api#room_events */
function plainTexts(block: unknown): string[] {
  const texts = isObject(block) ? block["m.text"] : undefined;
  if (!Array.isArray(texts)) return [];
  return texts.flatMap((it: unknown) => {
    if (!isObject(it)) return [];
    const { body, mimetype = "text/plain" } = it;
    return typeof body === "string" && mimetype === "text/plain" ? [body] : [];
  });
}

function repliesTo(content: CanonicalObject): boolean {
  const relation = content["m.relates_to"];
  return isObject(relation) && relation["m.in_reply_to"] !== undefined;
}

/** Old clients quote what they reply to: that was said by another. */
function withoutFallback(body: string): string {
  return body.replace(/^(?:>[^\n]*\n)+\n?/, "");
}

function textIn(content: CanonicalObject, key: string): string | undefined {
  const value = content[key];
  return typeof value === "string" ? value : undefined;
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
