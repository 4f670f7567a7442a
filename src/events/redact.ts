import type { CanonicalObject, CanonicalValue } from "#src/kit/canonical-json.ts";
import type { WireEvent } from "./pdu.ts";
import type { RoomVersionRules } from "./room-versions.ts";

const KEPT = [
  "auth_events",
  "content",
  "depth",
  "event_id",
  "hashes",
  "origin_server_ts",
  "prev_events",
  "room_id",
  "sender",
  "signatures",
  "state_key",
  "type",
] as const;

/** With what versions before 11 keep besides. */
const KEPT_BEFORE = [...KEPT, "membership", "origin", "prev_state"].sort();

/** The keys of an event that survive its redaction. */
function keptKeys(rules: RoomVersionRules): readonly string[] {
  return rules.legacyFieldsSurviveRedaction ? KEPT_BEFORE : KEPT;
}

/**
 * Strips an event of all that is not needed to keep the room's graph and state working. Its
 * signatures and its reference hash are the same before and after.
 *
 * @spec rooms/v11#redactions
 */
export function redact(wire: WireEvent, rules: RoomVersionRules): WireEvent {
  const redacted: Record<string, CanonicalValue> = {};
  for (const key of keptKeys(rules)) {
    if (Object.hasOwn(wire, key)) redacted[key] = wire[key] as CanonicalValue;
  }
  if (Object.hasOwn(wire, "content")) {
    redacted["content"] = redactContent(wire["type"], wire["content"], rules);
  }
  return redacted;
}

/** What redaction leaves of the content of an event of the type: the same object if that is all. */
export function redactContent(
  type: unknown,
  content: unknown,
  rules: RoomVersionRules,
): CanonicalObject {
  if (!isObject(content)) return {};
  if (type === "m.room.create" && rules.fullRedactionRules) return content;
  const kept = pick(content, KEPT_CONTENT.get(type)?.(rules) ?? []);
  if (type === "m.room.member" && rules.fullRedactionRules) {
    const invite = content["third_party_invite"];
    // An invite without `signed` stays behind as an empty object: IDs depend on it.
    if (isObject(invite)) return { ...kept, third_party_invite: pick(invite, ["signed"]) };
  }
  return kept;
}

/** Of the content, by the event's type. Of a type that is not here nothing is kept. */
const KEPT_CONTENT: ReadonlyMap<unknown, (rules: RoomVersionRules) => readonly string[]> = new Map([
  [
    "m.room.member",
    (rules: RoomVersionRules) =>
      rules.joinAuthoriserSurvivesRedaction
        ? ["membership", "join_authorised_via_users_server"]
        : ["membership"],
  ],
  ["m.room.create", () => ["creator"]],
  [
    "m.room.join_rules",
    (rules) => (rules.allowSurvivesRedaction ? ["join_rule", "allow"] : ["join_rule"]),
  ],
  [
    "m.room.power_levels",
    (rules) => (rules.fullRedactionRules ? [...POWER_LEVELS, "invite"] : POWER_LEVELS),
  ],
  ["m.room.aliases", (rules) => (rules.aliasesSurviveRedaction ? ["aliases"] : [])],
  ["m.room.history_visibility", () => ["history_visibility"]],
  ["m.room.redaction", (rules) => (rules.fullRedactionRules ? ["redacts"] : [])],
]);

const POWER_LEVELS = [
  "ban",
  "events",
  "events_default",
  "kick",
  "redact",
  "state_default",
  "users",
  "users_default",
];

/** The keys are ours, never outside strings. */
function pick(object: CanonicalObject, keys: readonly string[]): CanonicalObject {
  const picked: Record<string, CanonicalValue> = {};
  for (const key of keys) {
    if (Object.hasOwn(object, key)) picked[key] = object[key] as CanonicalValue;
  }
  return picked;
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
