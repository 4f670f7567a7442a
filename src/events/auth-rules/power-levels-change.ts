import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { isUserId } from "../event-identifiers.ts";
import type { Pdu } from "../pdu.ts";
import { creatorsOf, levelAt, NAMED_LEVELS, parseLevel } from "../power-levels.ts";
import type { RoomVersionRules } from "../room-versions.ts";
import type { AuthState } from "./auth-state.ts";
import { allow, reject, type Verdict } from "./verdict.ts";

const NAMES = Object.keys(NAMED_LEVELS);

/**
 * Rule 10: an `m.room.power_levels` event. Nobody gives or takes away more power than they have.
 *
 * @spec rooms/v12#authorisation-rules 10
 */
export function checkPowerLevels(event: Pdu, state: AuthState, rules: RoomVersionRules): Verdict {
  const malformed = checkShape(event.content, state, rules);
  if (malformed) return malformed;

  // 10.5 If there is no previous m.room.power_levels event in the room, allow.
  if (!state.powerLevels) return allow("10.5");

  const change: Change = {
    sender: event.sender,
    power: state.levels.powerOf(event.sender),
    before: state.powerLevels.content,
    after: event.content,
    rules,
  };
  // 10.11 Otherwise, allow.
  return checkNamed(change) ?? checkEvents(change) ?? checkUsers(change) ?? allow("10.11");
}

/** Steps 10.1 to 10.4: what the new levels may be at all. */
function checkShape(
  content: CanonicalObject,
  state: AuthState,
  rules: RoomVersionRules,
): Verdict | undefined {
  const isLevel = (value: unknown) => parseLevel(value, rules) !== undefined;

  if (rules.integerPowerLevels) {
    // 10.1 (since v10) If any of the properties users_default, events_default, state_default, ban,
    //      redact, kick, or invite in content are present and not an integer, reject.
    const level = NAMES.find((name) => Object.hasOwn(content, name) && !isLevel(content[name]));
    if (level) return reject("10.1", `${level} is not an integer`);

    // 10.2 (since v10) If either of the properties events or notifications in content are present and
    //      not an object with values that are integers, reject.
    for (const name of ["events", "notifications"]) {
      if (!Object.hasOwn(content, name)) continue;
      const levels = content[name];
      if (!isObject(levels) || !Object.values(levels).every(isLevel)) {
        return reject("10.2", `${name} are not integers`);
      }
    }
  }

  // 10.3 If the users property in content is not an object with keys that are valid user IDs with
  //      values that are integers (or, until v9, a string that is an integer), reject. (Without the
  //      property there is nobody whose level could be wrong.)
  const { users } = content;
  if (users === undefined) return undefined;
  if (!isObject(users)) return reject("10.3", "users are not an object");
  for (const [user, level] of Object.entries(users)) {
    if (!isUserId(user)) return reject("10.3", "users has a key that is no user ID");
    if (!isLevel(level)) return reject("10.3", "users has a level that is no integer");
  }

  // 10.4 (since v12) If the users property in content contains the sender of the m.room.create event
  //      or any of its additional_creators, reject.
  if (rules.privilegedCreators) {
    for (const creator of creatorsOf(state.create, rules)) {
      if (Object.hasOwn(users, creator)) return reject("10.4", "users has a creator");
    }
  }
  return undefined;
}

/** A change of power levels, and who makes it. */
type Change = {
  readonly sender: string;
  readonly power: number;
  readonly before: CanonicalObject;
  readonly after: CanonicalObject;
  readonly rules: RoomVersionRules;
};

/** Step 10.6: the levels with a name. */
function checkNamed({ power, before, after, rules }: Change): Verdict | undefined {
  // 10.6 For the properties users_default, events_default, state_default, ban, redact, kick, invite
  //      check if they were added, changed or removed. For each found alteration:
  for (const { key, current, next } of alterations(before, after, NAMES, rules)) {
    // 10.6.1 If the current value is higher than the sender's current power level, reject.
    if (current !== undefined && current > power) {
      return reject("10.6.1", `${key} is above the sender's power`);
    }
    // 10.6.2 If the new value is higher than the sender's current power level, reject.
    if (next !== undefined && next > power) {
      return reject("10.6.2", `${key} would be above the sender's power`);
    }
  }
  return undefined;
}

/** Steps 10.7 and 10.8: the levels for types of events and of notifications. */
function checkEvents({ power, before, after, rules }: Change): Verdict | undefined {
  const properties = rules.notificationLevelsChecked ? ["events", "notifications"] : ["events"];
  const changes = properties.flatMap((property) =>
    entryAlterations(property, before, after, rules),
  );

  // 10.7 For each entry being changed in, or removed from, the events or (since v6) notifications
  //      properties: 10.7.1 If the current value is greater than the sender's power, reject.
  if (changes.some(({ current }) => current !== undefined && current > power)) {
    return reject("10.7.1", "an event's level is above the sender's power");
  }

  // 10.8 For each entry being added to, or changed in, those properties:
  //      10.8.1 If the new value is greater than the sender's current power level, reject.
  if (changes.some(({ next }) => next !== undefined && next > power)) {
    return reject("10.8.1", "an event's level would be above the sender's power");
  }
  return undefined;
}

/** Steps 10.9 and 10.10: the levels of users. */
function checkUsers({ sender, power, before, after, rules }: Change): Verdict | undefined {
  const changes = entryAlterations("users", before, after, rules);

  // 10.9 For each entry being changed in, or removed from, the users property, other than the
  //      sender's own entry: 10.9.1 If the current value is greater than or equal to the sender's
  //      current power level, reject.
  for (const { key, current } of changes) {
    if (key !== sender && current !== undefined && current >= power) {
      return reject("10.9.1", "a user's level is not below the sender's power");
    }
  }

  // 10.10 For each entry being added to, or changed in, the users property:
  //       10.10.1 If the new value is greater than the sender's current power level, reject.
  if (changes.some(({ next }) => next !== undefined && next > power)) {
    return reject("10.10.1", "a user's level would be above the sender's power");
  }
  return undefined;
}

/** A level that was added (there is no current one), changed, or removed (there is no next one). */
type Alteration = {
  readonly key: string;
  readonly current: number | undefined;
  readonly next: number | undefined;
};

function alterations(
  before: CanonicalObject,
  after: CanonicalObject,
  keys: Iterable<string>,
  rules: RoomVersionRules,
): Alteration[] {
  const found: Alteration[] = [];
  for (const key of keys) {
    // By value, not by spelling: "50" and 50 are the same level.
    const current = levelAt(before, key, rules);
    const next = levelAt(after, key, rules);
    if (current !== next) found.push({ key, current, next });
  }
  return found;
}

/** The alterations in one of the properties that hold levels by key. */
function entryAlterations(
  property: string,
  before: CanonicalObject,
  after: CanonicalObject,
  rules: RoomVersionRules,
): Alteration[] {
  const current = isObject(before[property]) ? before[property] : {};
  const next = isObject(after[property]) ? after[property] : {};
  const keys = new Set([...Object.keys(current), ...Object.keys(next)]);
  return alterations(current, next, keys, rules);
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
