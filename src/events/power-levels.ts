import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { isRawLiteral } from "#src/kit/raw-literal.ts";
import type { Pdu } from "./pdu.ts";
import type { RoomVersionRules } from "./room-versions.ts";

/** The levels that a power levels event has by name, each with what it is if not given. */
export const NAMED_LEVELS = {
  users_default: 0,
  events_default: 0,
  state_default: 50,
  ban: 50,
  redact: 50,
  kick: 50,
  invite: 0,
} as const;

export type NamedLevel = keyof typeof NAMED_LEVELS;

/** Who may do what in a room. */
export type PowerLevels = {
  /** A user's power: infinite for creators, in room versions that privilege them. */
  readonly powerOf: (user: string) => number;
  /** The power that an event of the type requires of its sender. */
  readonly levelFor: (type: string, isState: boolean) => number;
  /** A level by its name, with the specification's default. */
  readonly named: (name: NamedLevel) => number;
  /** The power that it takes to notify everybody, as with `room` for `@room`. */
  readonly notificationLevel: (key: string) => number;
};

const NOTIFICATION_DEFAULT = 50;

/**
 * Reads who may do what, from the two state events that say so, with the defaults for what is not
 * there or is no level.
 *
 * @param powerLevels the room's `m.room.power_levels`, if it has one.
 * @param create the room's `m.room.create`.
 * @spec server-server-api#definitions
 */
export function readPowerLevels(
  powerLevels: Pick<Pdu, "content"> | undefined,
  create: CreateEvent,
  rules: RoomVersionRules,
): PowerLevels {
  const content = powerLevels?.content;
  const users = objectAt(content, "users");
  const events = objectAt(content, "events");
  const named = (name: NamedLevel) => levelAt(content, name, rules) ?? NAMED_LEVELS[name];

  return {
    named,
    powerOf(user) {
      if (isPrivileged(user, create, rules)) return Number.POSITIVE_INFINITY;
      // In a room without power levels the creator has 100.
      if (!content) return user === creatorOf(create, rules) ? 100 : 0;
      return levelAt(users, user, rules) ?? named("users_default");
    },
    levelFor: (type, isState) =>
      levelAt(events, type, rules) ?? named(isState ? "state_default" : "events_default"),
    notificationLevel: (key) =>
      levelAt(objectAt(content, "notifications"), key, rules) ?? NOTIFICATION_DEFAULT,
  };
}

type CreateEvent = Pick<Pdu, "content" | "sender">;

/**
 * The user who created the room: until version 10 it is whom the create event names.
 *
 * @spec rooms/v11#remove-the-creator-property-of-mroomcreate-events
 */
export function creatorOf(create: CreateEvent, rules: RoomVersionRules): string | undefined {
  const creator = rules.creatorInCreateContent ? create.content["creator"] : create.sender;
  return typeof creator === "string" ? creator : undefined;
}

/**
 * The users who count as having created the room: since version 12 there may be several.
 *
 * @spec rooms/v12#authorisation-rules
 */
export function creatorsOf(create: CreateEvent, rules: RoomVersionRules): ReadonlySet<string> {
  const creator = creatorOf(create, rules);
  const others = rules.privilegedCreators ? additionalCreators(create) : [];
  return new Set(creator === undefined ? others : [creator, ...others]);
}

function isPrivileged(user: string, create: CreateEvent, rules: RoomVersionRules): boolean {
  if (!rules.privilegedCreators) return false;
  return user === create.sender || additionalCreators(create).includes(user);
}

function additionalCreators({ content }: Pick<Pdu, "content">): readonly string[] {
  const { additional_creators } = content;
  if (!Array.isArray(additional_creators)) return [];
  return additional_creators.filter((user) => typeof user === "string");
}

const LEVEL_TEXT = /^\s*[+-]?[0-9]+\s*$/;

/**
 * Reads one level. Before versions that want integers, a level may be a string that holds one, or a
 * float, of which only the part before the point counts.
 *
 * @returns undefined for what is no level.
 * @spec rooms/v1#mroompower_levels-events-accept-values-as-strings
 */
export function parseLevel(value: unknown, rules: RoomVersionRules): number | undefined {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return value;
    return rules.integerPowerLevels ? undefined : truncated(value);
  }
  if (rules.integerPowerLevels) return undefined;
  if (typeof value === "string") {
    return LEVEL_TEXT.test(value) ? truncated(Number(value)) : undefined;
  }
  return isRawLiteral(value) ? truncated(Number(value.rawJSON)) : undefined;
}

function truncated(level: number): number | undefined {
  // Adding zero makes one zero of the two.
  return Number.isFinite(level) ? Math.trunc(level) + 0 : undefined;
}

/**
 * The level at a key, which may be any outside string: what `Object.prototype` has under such a key
 * is no level.
 */
export function levelAt(
  levels: CanonicalObject | undefined,
  key: string,
  rules: RoomVersionRules,
): number | undefined {
  return levels && parseLevel(levels[key], rules);
}

function objectAt(content: CanonicalObject | undefined, key: string): CanonicalObject | undefined {
  const value = content?.[key];
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
