import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { rawLiteral } from "#src/kit/raw-literal.ts";
import type { Dice } from "./dice.ts";
import { ODD_USERS, USERS } from "./random-users.ts";

export type Content = Record<string, unknown>;

const NAMES = [
  "users_default",
  "events_default",
  "state_default",
  "ban",
  "redact",
  "kick",
  "invite",
] as const;

const TYPES = ["m.room.topic", "m.room.name", "m.room.power_levels", "m.room.message", "x.custom"];

/** Values that are levels in some room version, and values that are in none. */
const ODD_LEVELS: readonly unknown[] = [
  "50",
  " 50 ",
  "+50",
  "-1",
  "0",
  "100",
  "",
  "abc",
  "5.5",
  "0x10",
  "1e2",
  "99999999999999999999",
  rawLiteral("50.0"),
  rawLiteral("50.9"),
  rawLiteral("-0.5"),
  rawLiteral("1e2"),
  9_007_199_254_740_991,
  -9_007_199_254_740_991,
  true,
  false,
  null,
  [],
  [50],
  {},
];

/** Levels beyond what Canonical JSON holds, for the room versions that let them in. */
const HUGE_LEVELS: readonly unknown[] = [
  rawLiteral("9007199254740992"),
  rawLiteral("9223372036854775807"),
  rawLiteral("-9223372036854775808"),
];

function randomLevel(dice: Dice, rules: RoomVersionRules): unknown {
  if (dice.chance(88)) return dice.pick([0, 0, 1, 25, 49, 50, 50, 51, 75, 99, 100, 100, 101, -1]);
  if (!rules.strictCanonicalJson && dice.chance(8)) return dice.pick(HUGE_LEVELS);
  return dice.pick(ODD_LEVELS);
}

/** The power levels that a room starts with. */
export function firstPowerLevels(dice: Dice, creator: string, rules: RoomVersionRules): Content {
  const users: Content = rules.privilegedCreators ? {} : { [creator]: 100 };
  for (const user of dice.some(USERS, 30)) {
    if (user !== creator) users[user] = dice.pick([25, 50, 75, 99, 100]);
  }
  const content: Content = { users };
  for (const name of dice.some(NAMES, 40)) content[name] = dice.pick([0, 0, 25, 50, 50, 75, 100]);
  if (dice.chance(60)) content["events"] = { "m.room.topic": dice.pick([0, 25, 50]) };
  if (dice.chance(20)) content["notifications"] = { room: dice.pick([20, 50, 60]) };
  return content;
}

/** A change of some power levels, now and then into what is none. */
export function changedPowerLevels(dice: Dice, before: Content, rules: RoomVersionRules): Content {
  const content = structuredCopy(before);
  for (let left = 1 + dice.below(3); left > 0; left -= 1) changeOnce(dice, content, rules);
  return content;
}

function changeOnce(dice: Dice, content: Content, rules: RoomVersionRules): void {
  const where = dice.weighted([
    [45, "users"],
    [25, "name"],
    [15, "events"],
    [8, "notifications"],
    [2, "shape"],
  ]);
  if (where === "name") {
    const name = dice.pick(NAMES);
    if (dice.chance(25)) delete content[name];
    else content[name] = randomLevel(dice, rules);
    return;
  }
  if (where === "shape") {
    const name = dice.pick(["users", "events", "notifications"]);
    if (dice.chance(30)) delete content[name];
    else content[name] = dice.pick<unknown>([[], "x", 5, null, true, {}]);
    return;
  }
  const held = content[where];
  const levels = isObject(held) ? { ...held } : {};
  const key =
    where === "users"
      ? dice.pick(dice.chance(5) ? ODD_USERS : USERS)
      : dice.pick(where === "events" ? TYPES : ["room", "here"]);
  if (dice.chance(25)) delete levels[key];
  else levels[key] = randomLevel(dice, rules);
  content[where] = levels;
}

function structuredCopy(content: Content): Content {
  return Object.fromEntries(
    Object.entries(content).map(([key, value]) => [key, isObject(value) ? { ...value } : value]),
  );
}

function isObject(value: unknown): value is Content {
  // A raw literal has no prototype.
  return (
    typeof value === "object" &&
    value !== null &&
    Object.getPrototypeOf(value) !== null &&
    !Array.isArray(value)
  );
}
