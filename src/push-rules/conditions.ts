import { matchesGlob, matchesGlobInWords } from "#src/kit/glob.ts";
import { propertyAt, splitPropertyPath } from "#src/kit/property-path.ts";
import type { Condition } from "./push-rule.ts";
import { THREAD_CONDITION } from "./thread-condition.ts";

/** An event as the rules look at it: by its client form. */
export type PushEvent = {
  readonly type: string;
  readonly sender: string;
  readonly room_id: string;
  readonly state_key?: string | undefined;
  readonly content: Readonly<Record<string, unknown>>;
};

/** What rules ask about besides the event. */
export type PushContext = {
  /** How many users are joined to the room. */
  readonly memberCount: number;
  /** What the user is called in the room; undefined if they have no name there. */
  readonly displayName?: string | undefined;
  /** Whether the sender has the power that `notifications` asks for under a key, such as `room`. */
  readonly senderMayNotify: (key: string) => boolean;
  /** Whether the user has subscribed to the event's thread; undefined if it is in none. */
  readonly isSubscribed?: boolean | undefined;
};

const BODY = "content.body";

/**
 * Whether a condition holds. One of a kind that we do not know holds of nothing.
 *
 * @spec client-server-api#conditions
 */
export function holds(condition: Condition, event: PushEvent, context: PushContext): boolean {
  switch (condition.kind) {
    case "event_match":
      return matchesProperty(condition, event);
    case "event_property_is":
      return isScalar(condition.value) && property(condition, event) === condition.value;
    case "event_property_contains":
      return containsValue(condition, event);
    case "contains_display_name":
      return containsName(event, context.displayName);
    case "room_member_count":
      return isCount(condition.is, context.memberCount);
    case "sender_notification_permission":
      return condition.key !== undefined && context.senderMayNotify(condition.key);
    case THREAD_CONDITION:
      return isOfThread(condition, context);
    default:
      return false;
  }
}

function containsValue(condition: Condition, event: PushEvent): boolean {
  const values = property(condition, event);
  return Array.isArray(values) && isScalar(condition.value) && values.includes(condition.value);
}

function isOfThread({ subscribed }: Condition, { isSubscribed }: PushContext): boolean {
  return isSubscribed !== undefined && subscribed === isSubscribed;
}

function property({ key }: Condition, event: PushEvent): unknown {
  return key === undefined ? undefined : propertyAt(event, splitPropertyPath(key));
}

function matchesProperty(condition: Condition, event: PushEvent): boolean {
  const { key, pattern } = condition;
  const value = property(condition, event);
  if (typeof value !== "string" || pattern === undefined) return false;
  return key === BODY ? bodyMatches(pattern, event) : matchesGlob(fold(pattern), fold(value));
}

/** Whether some words of the body match a pattern. @spec client-server-api#push-rules */
export function bodyMatches(pattern: string, event: PushEvent): boolean {
  const body = foldedBody(event);
  return body !== undefined && matchesGlobInWords(fold(pattern), body);
}

/** Bodies may be long, and many rules look at one. */
const foldedBodies = new WeakMap<PushEvent, string | undefined>();

function foldedBody(event: PushEvent): string | undefined {
  if (foldedBodies.has(event)) return foldedBodies.get(event);
  const body = Object.hasOwn(event.content, "body") ? event.content["body"] : undefined;
  const folded = typeof body === "string" ? fold(body) : undefined;
  foldedBodies.set(event, folded);
  return folded;
}

function fold(text: string): string {
  return text.toLowerCase();
}

function isScalar(value: unknown): boolean {
  return (
    value === null ||
    typeof value === "string" ||
    typeof value === "boolean" ||
    Number.isSafeInteger(value)
  );
}

/** A name is no glob: its stars and question marks stand for themselves. */
function containsName(event: PushEvent, name: string | undefined): boolean {
  if (name === undefined || name === "") return false;
  const text = foldedBody(event);
  if (text === undefined) return false;
  const wanted = fold(name);
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const before = text.charAt(at - 1);
    const after = text.charAt(at + wanted.length);
    if (!/\w/.test(before) && !/\w/.test(after)) return true;
  }
  return false;
}

const COUNT = /^(?<comparison>==|<=|>=|<|>)?(?<number>[0-9]+)$/;

function isCount(is: string | undefined, count: number): boolean {
  const groups = COUNT.exec(is ?? "")?.groups;
  if (!groups) return false;
  const wanted = Number(groups["number"]);
  switch (groups["comparison"]) {
    case "<":
      return count < wanted;
    case ">":
      return count > wanted;
    case "<=":
      return count <= wanted;
    case ">=":
      return count >= wanted;
    case undefined:
    default:
      return count === wanted;
  }
}
