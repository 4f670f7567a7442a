import type { EventDraft } from "#src/events/build-event.ts";
import { NAMED_LEVELS, parseLevel } from "#src/events/power-levels.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { CanonicalObject, CanonicalValue } from "#src/kit/canonical-json.ts";
import { type RoomAlias, serverNameOf, type UserId } from "#src/kit/identifiers.ts";

/** What of a room's state its successor begins with, beside what is made anew. */
export const TRANSFERRED = [
  "m.room.server_acl",
  "m.room.encryption",
  "m.room.name",
  "m.room.avatar",
  "m.room.topic",
  "m.room.guest_access",
  "m.room.history_visibility",
  "m.room.join_rules",
] as const;

/** What of a create event is true of the room that takes its place. */
export function inheritedCreation(create: CanonicalObject): CanonicalObject {
  const { type, "m.federate": federate } = create;
  return {
    ...(typeof type === "string" && { type }),
    ...(federate === false && { "m.federate": false }),
  };
}

/** @spec rooms#feature-matrix */
const JOIN_RULES: Readonly<Record<string, (rules: RoomVersionRules) => boolean>> = {
  public: () => true,
  invite: () => true,
  private: () => true,
  knock: (it) => it.knocking,
  restricted: (it) => it.restrictedJoins,
  knock_restricted: (it) => it.knockRestrictedJoins,
};

/** Join rules as another version can have them: what it does not know would let nobody in, or anybody knock. */
export function successorJoinRules(
  content: CanonicalObject,
  rules: RoomVersionRules,
): CanonicalObject {
  const { join_rule: rule } = content;
  const isKnown = typeof rule === "string" && Object.hasOwn(JOIN_RULES, rule);
  if (isKnown && JOIN_RULES[rule]?.(rules)) return content;
  if (rule === "knock_restricted" && rules.restrictedJoins) {
    return { ...content, join_rule: "restricted" };
  }
  return { join_rule: "invite" };
}

export type Succession = {
  readonly from: RoomVersionRules;
  readonly to: RoomVersionRules;
  /** Who created the old room, whom its power levels need not name. */
  readonly oldCreators: readonly string[];
  /** Who creates the new one: whoever upgrades, first. */
  readonly creators: readonly UserId[];
};

/** The power that takes the place of a creator's, in versions where creators have no more than that. */
const CREATOR_LEVEL = 100;

/** The level by which only creators may end a room for another, where they are above all levels. */
const TOMBSTONE_LEVEL = 150;

/**
 * The power levels of the new room: who could do something can, but for creators, who are above all levels in some
 * versions, where they may not be named, and not in others.
 *
 * @spec rooms/v12#authorisation-rules
 */
export function successorLevels(content: CanonicalObject, it: Succession): CanonicalObject {
  const levels = asLevels(content, it);
  const users = objectIn(levels, "users");
  const events = objectIn(levels, "events");
  if (it.to.privilegedCreators) {
    const creators = new Set<string>(it.creators);
    const others = Object.entries(users).filter(([user]) => !creators.has(user));
    const tombstone = numberIn(events, "m.room.tombstone") ?? numberIn(levels, "state_default");
    const isOpen = !it.from.privilegedCreators && (tombstone ?? 50) < TOMBSTONE_LEVEL;
    return {
      ...levels,
      users: Object.fromEntries(others),
      ...(isOpen && { events: { ...events, "m.room.tombstone": TOMBSTONE_LEVEL } }),
    };
  }
  if (!it.from.privilegedCreators) return levels;
  // What only creators could do asks for more than their usual level: else nobody could ever do it again.
  const most = Math.max(
    CREATOR_LEVEL,
    ...Object.keys(events).map((it) => numberIn(events, it) ?? 0),
  );
  const raised = it.oldCreators.map((user) => [user, most] as const);
  return { ...levels, users: { ...users, ...Object.fromEntries(raised) } };
}

/** Where some versions took texts and fractions for levels, others want whole numbers. */
function asLevels(content: CanonicalObject, { from, to }: Succession): CanonicalObject {
  if (!to.integerPowerLevels || from.integerPowerLevels) return content;
  const whole = (levels: CanonicalObject) =>
    Object.fromEntries(
      Object.entries(levels).flatMap(([key, value]) => {
        const level = parseLevel(value, from);
        return level === undefined ? [] : [[key, level] as const];
      }),
    );
  return Object.fromEntries(
    Object.entries(content).flatMap(([key, value]): [string, CanonicalValue][] => {
      if (key === "users" || key === "events" || key === "notifications") {
        return [[key, whole(objectIn(content, key))]];
      }
      if (!(key in NAMED_LEVELS)) return [[key, value]];
      const level = parseLevel(value, from);
      return level === undefined ? [] : [[key, level]];
    }),
  );
}

/**
 * Power levels for a room that is over: only those who could do more than others can still speak or invite.
 * Undefined if that is so already.
 *
 * @spec client-server-api#room-upgrades
 */
export function closingLevels(
  content: CanonicalObject,
  rules: RoomVersionRules,
): CanonicalObject | undefined {
  const named = (name: keyof typeof NAMED_LEVELS) =>
    parseLevel(content[name], rules) ?? NAMED_LEVELS[name];
  const least = Math.max(50, named("users_default") + 1);
  const changed = {
    ...(named("events_default") < least && { events_default: least }),
    ...(named("invite") < least && { invite: least }),
  };
  return Object.keys(changed).length > 0 ? { ...content, ...changed } : undefined;
}

/** A canonical alias event's content parted by whose the aliases are: ours go to the new room. */
export function partAliases(
  content: CanonicalObject,
  ours: string,
): { readonly moved: CanonicalObject | undefined; readonly left: CanonicalObject } {
  const { alias, alt_aliases, ...others } = content;
  const alternatives = Array.isArray(alt_aliases) ? alt_aliases.filter(isText) : [];
  const isOurs = (it: string) => it.includes(":") && serverNameOf(it as RoomAlias) === ours;
  const part = (wanted: boolean): CanonicalObject => {
    const its = alternatives.filter((it) => isOurs(it) === wanted);
    return {
      ...(isText(alias) && isOurs(alias) === wanted && { alias }),
      ...(its.length > 0 && { alt_aliases: its }),
    };
  };
  const moved = part(true);
  const isMoved = Object.keys(moved).length > 0;
  return { moved: isMoved ? moved : undefined, left: { ...others, ...part(false) } };
}

/** A state event without a key, as a draft. */
export function stateDraft(type: string, content: CanonicalObject): EventDraft {
  return { type, state_key: "", content };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function objectIn(content: CanonicalObject, key: string): CanonicalObject {
  const value = content[key];
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as CanonicalObject)
    : {};
}

function numberIn(content: CanonicalObject, key: string): number | undefined {
  const value = content[key];
  return typeof value === "number" ? value : undefined;
}
