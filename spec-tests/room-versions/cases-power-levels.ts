import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { rawLiteral } from "#src/kit/raw-literal.ts";
import { ALICE, BOB, CAROL, type Case, type Setup, versions } from "./room.ts";

const ALL = versions(1);
const NAMES = [
  "users_default",
  "events_default",
  "state_default",
  "ban",
  "redact",
  "kick",
  "invite",
];

/** Bob, who has 50, changes the power levels. */
function change(content: CanonicalObject) {
  return { type: "m.room.power_levels", state_key: "", sender: BOB, content };
}

function levels(content: CanonicalObject): Setup {
  return { members: { [BOB]: "join" }, levels: { users: { [BOB]: 50, [CAROL]: 50 }, ...content } };
}

const SAME = { users: { [BOB]: 50, [CAROL]: 50 } };

/** Steps 1 to 5: what levels may be. */
const SHAPE: readonly Case[] = [
  ...NAMES.flatMap((name) =>
    ["50", 50.5, null].map((level) => ({
      rule: "10.1" as const,
      versions: versions(10),
      allowed: false,
      what: `${name}: ${JSON.stringify(level)}`,
      given: levels({}),
      when: change({ ...SAME, [name]: level }),
    })),
  ),
  ...["events", "notifications"].flatMap((name) =>
    [{ "m.room.name": "50" }, [], 50, null].map((value) => ({
      rule: "10.2" as const,
      versions: versions(10),
      allowed: false,
      what: `${name}: ${JSON.stringify(value)}`,
      given: levels({}),
      when: change({ ...SAME, [name]: value }),
    })),
  ),
  ...[
    [],
    "users",
    null,
    { bob: 50 },
    { "@bob": 50 },
    { [BOB]: null },
    { [BOB]: "x" },
    { [BOB]: [] },
  ].map((users) => ({
    rule: "10.3" as const,
    versions: ALL,
    allowed: false,
    what: `users: ${JSON.stringify(users)}`,
    given: levels({}),
    when: change({ users }),
  })),
  ...["50", " +050 ", "-1"].map((level) => ({
    rule: "10.3" as const,
    versions: versions(10),
    allowed: false,
    what: `a user's level: ${JSON.stringify(level)}`,
    given: levels({}),
    when: change({ users: { [BOB]: level } }),
  })),
  ...["5 0", "50.5", "5e1", "0x10", "", "+-5", "1_0"].map((level) => ({
    rule: "10.3" as const,
    versions: ALL,
    allowed: false,
    what: `a user's level: ${JSON.stringify(level)}`,
    given: levels({}),
    when: change({ users: { [BOB]: level } }),
  })),
  ...[ALICE, CAROL].map((creator) => ({
    rule: "10.4" as const,
    versions: versions(12),
    allowed: false,
    what: `a level for the creator ${creator}`,
    given: { ...levels({}), create: { additional_creators: [CAROL] } },
    when: change({ users: { [BOB]: 50, [creator]: 50 } }),
  })),
  {
    rule: "10.5",
    versions: ALL,
    allowed: true,
    what: "the first levels of a room",
    when: { ...change({ users: { [BOB]: 1000 }, ban: 1000 }), sender: ALICE },
  },
];

/** Steps 6 to 11: whom it takes to change them. Spelt in strings, too, where that is allowed. */
const CHANGES: readonly Case[] = [
  ...NAMES.flatMap((name) => [
    {
      rule: "10.6.1" as const,
      versions: ALL,
      allowed: false,
      what: `${name} is lowered from above`,
      given: levels({ [name]: 51, events: { "m.room.power_levels": 50 } }),
      when: change({ ...SAME, [name]: 50, events: { "m.room.power_levels": 50 } }),
    },
    {
      rule: "10.6.1" as const,
      versions: ALL,
      allowed: false,
      what: `${name} is removed from above`,
      given: levels({ [name]: 51, events: { "m.room.power_levels": 50 } }),
      when: change({ ...SAME, events: { "m.room.power_levels": 50 } }),
    },
    {
      rule: "10.6.2" as const,
      versions: ALL,
      allowed: false,
      what: `${name} is raised too high`,
      given: levels({ [name]: 0 }),
      when: change({ ...SAME, [name]: 51 }),
    },
    {
      rule: "10.6.2" as const,
      versions: versions(1, 9),
      allowed: false,
      what: `${name} is raised too high by a string`,
      given: levels({}),
      when: change({ ...SAME, [name]: " +051" }),
    },
  ]),
  ...["events", "notifications"].flatMap((name) => {
    const where = name === "events" ? ALL : versions(6);
    return [
      {
        rule: "10.7.1" as const,
        versions: where,
        allowed: false,
        what: `an entry of ${name} is lowered from above`,
        given: levels({ [name]: { room: 51 } }),
        when: change({ ...SAME, [name]: { room: 50 } }),
      },
      {
        rule: "10.7.1" as const,
        versions: where,
        allowed: false,
        what: `an entry of ${name} is removed from above`,
        given: levels({ [name]: { room: 51 } }),
        when: change({ ...SAME }),
      },
      {
        rule: "10.8.1" as const,
        versions: where,
        allowed: false,
        what: `an entry of ${name} is added too high`,
        given: levels({}),
        when: change({ ...SAME, [name]: { room: 51 } }),
      },
    ];
  }),
  {
    rule: "10.11",
    versions: versions(1, 5),
    allowed: true,
    what: "notifications, which nobody guarded yet",
    given: levels({ notifications: { room: 60 } }),
    when: change({ ...SAME, notifications: { room: 70 } }),
  },
  {
    rule: "10.9.1",
    versions: ALL,
    allowed: false,
    what: "a user of the same level is lowered",
    given: levels({}),
    when: change({ users: { [BOB]: 50, [CAROL]: 49 } }),
  },
  {
    rule: "10.9.1",
    versions: ALL,
    allowed: false,
    what: "a user of the same level is removed",
    given: levels({}),
    when: change({ users: { [BOB]: 50 } }),
  },
  {
    rule: "10.9.1",
    versions: ALL,
    allowed: false,
    what: "all users are removed",
    given: levels({}),
    when: change({}),
  },
  ...[
    { [BOB]: 51, [CAROL]: 50 },
    { ...SAME.users, "@dan:hs2.test": 51 },
  ].map((users) => ({
    rule: "10.10.1" as const,
    versions: ALL,
    allowed: false,
    what: `users are raised to ${JSON.stringify(users)}`,
    given: levels({}),
    when: change({ users }),
  })),
  {
    rule: "10.11",
    versions: ALL,
    allowed: true,
    what: "one's own level is lowered, another's raised to one's own",
    given: levels({ state_default: 40 }),
    when: change({ users: { [BOB]: 40, [CAROL]: 50, "@dan:hs2.test": 50 }, state_default: 40 }),
  },
  {
    rule: "10.11",
    versions: ALL,
    allowed: true,
    what: "what is above stays as it is",
    given: levels({ ban: 90, users: { [BOB]: 50, [CAROL]: 90 } }),
    when: change({ ban: 90, users: { [BOB]: 50, [CAROL]: 90 }, events: { "m.room.name": 50 } }),
  },
  {
    rule: "10.11",
    versions: versions(1, 9),
    allowed: true,
    what: "what is above is spelt differently",
    given: levels({ ban: 90 }),
    when: change({ ban: " +0090 ", users: { [BOB]: "50", [CAROL]: "50" } }),
  },
  {
    rule: "10.11",
    versions: versions(1, 5),
    allowed: true,
    what: "what is above is a float of the same whole part",
    given: levels({ ban: 90 }),
    when: change({ ...SAME, ban: 90.9, kick: rawLiteral("50.0") }),
  },
  {
    rule: "10.11",
    versions: versions(12),
    allowed: true,
    what: "by a creator, who is above all",
    given: levels({ ban: 1000, users: { [BOB]: 1000 } }),
    when: { ...change({ ban: 2000 }), sender: ALICE },
  },
];

/** Rule 10. @spec rooms/v12#authorisation-rules 10 */
export const POWER_LEVELS = [...SHAPE, ...CHANGES];
