import { ALICE, BOB, CAROL, type Case, member, versions } from "./room.ts";

const ALL = versions(1);
const MESSAGE = { type: "m.room.message", sender: BOB } as const;
const TOPIC = { type: "m.room.topic", state_key: "", sender: BOB } as const;
const JOINED = { members: { [BOB]: "join", [CAROL]: "join" } };

/** Rules 2 and 4: the room itself. */
const ROOM: readonly Case[] = [
  {
    rule: "v11:2.4",
    versions: versions(1, 11),
    allowed: false,
    what: "in a state without a create event",
    given: { empty: true },
    when: MESSAGE,
  },
  {
    rule: "2",
    versions: versions(12),
    allowed: false,
    what: "in a state without a create event",
    given: { empty: true },
    when: MESSAGE,
  },
  {
    rule: "2",
    versions: versions(12),
    allowed: false,
    what: "in a room ID that is not the create event's",
    given: JOINED,
    when: { ...MESSAGE, room_id: "!other" },
  },
  {
    rule: "4",
    versions: ALL,
    allowed: false,
    what: "from another server, in a room that does not federate",
    given: { create: { "m.federate": false }, joinRule: "public" },
    when: member(CAROL, "join"),
  },
  {
    rule: "5.3.6",
    versions: ALL,
    allowed: true,
    what: "from the same server, in a room that does not federate",
    given: { create: { "m.federate": false }, joinRule: "public" },
    when: member(BOB, "join"),
  },
];

const ALIASES = { type: "m.room.aliases", sender: CAROL } as const;

/** @spec rooms/v5#authorisation-rules 4 */
const ALIAS: readonly Case[] = [
  {
    rule: "v5:4.1",
    versions: versions(1, 5),
    allowed: false,
    what: "aliases of no server",
    when: ALIASES,
  },
  {
    rule: "v5:4.2",
    versions: versions(1, 5),
    allowed: false,
    what: "aliases of another server",
    given: JOINED,
    when: { ...ALIASES, state_key: "hs1.test" },
  },
  {
    rule: "v5:4.3",
    versions: versions(1, 5),
    allowed: true,
    what: "aliases of one's server, by one who has not joined",
    when: { ...ALIASES, state_key: "hs2.test" },
  },
  {
    rule: "6",
    versions: versions(6),
    allowed: false,
    what: "aliases of one's server, by one who has not joined",
    when: { ...ALIASES, state_key: "hs2.test" },
  },
];

const INVITE = { type: "m.room.third_party_invite", state_key: "abc", sender: BOB } as const;

/** Rules 6 to 9, and 11. */
const REST: readonly Case[] = [
  ...["invite", "leave", "ban", "knock"].map((membership) => ({
    rule: "6" as const,
    versions: ALL,
    allowed: false,
    what: `by one whose membership is ${membership}`,
    given: { members: { [BOB]: membership } },
    when: MESSAGE,
  })),
  {
    rule: "7.1",
    versions: ALL,
    allowed: true,
    what: "a third party is invited by one who may, though not send such state",
    given: JOINED,
    when: INVITE,
  },
  {
    rule: "7.1",
    versions: ALL,
    allowed: false,
    what: "a third party is invited by one who may not",
    given: { ...JOINED, levels: { invite: 1 } },
    when: INVITE,
  },
  {
    rule: "8",
    versions: ALL,
    allowed: false,
    what: "state, by default",
    given: JOINED,
    when: TOPIC,
  },
  {
    rule: "8",
    versions: ALL,
    allowed: false,
    what: "a message, where events_default is 1",
    given: { ...JOINED, levels: { events_default: 1 } },
    when: MESSAGE,
  },
  {
    rule: "8",
    versions: ALL,
    allowed: false,
    what: "a message whose type takes more",
    given: { ...JOINED, levels: { users: { [BOB]: 9 }, events: { "m.room.message": 10 } } },
    when: MESSAGE,
  },
  {
    rule: "8",
    versions: ALL,
    allowed: false,
    what: "a type that objects have by nature",
    given: { ...JOINED, levels: { events: {}, events_default: 1 } },
    when: { type: "constructor", sender: BOB },
  },
  {
    rule: "9",
    versions: ALL,
    allowed: false,
    what: "state of another user",
    given: { ...JOINED, levels: { state_default: 0 } },
    when: { ...TOPIC, state_key: CAROL },
  },
  ...[BOB, "x", `x${CAROL}`].map((state_key) => ({
    rule: "11" as const,
    versions: ALL,
    allowed: true,
    what: `state of ${state_key}`,
    given: { ...JOINED, levels: { state_default: 0 } },
    when: { ...TOPIC, state_key },
  })),
  { rule: "11", versions: ALL, allowed: true, what: "a message", given: JOINED, when: MESSAGE },
  {
    rule: "11",
    versions: ALL,
    allowed: true,
    what: "state, by the creator of a room without power levels",
    when: { ...TOPIC, sender: ALICE },
  },
  {
    rule: "11",
    versions: versions(12),
    allowed: true,
    what: "state, by another creator, where it takes more than anybody has",
    given: {
      ...JOINED,
      create: { additional_creators: [BOB] },
      levels: { state_default: 2 ** 52 },
    },
    when: TOPIC,
  },
  {
    rule: "8",
    versions: versions(1, 11),
    allowed: false,
    what: "state, by whom later versions would call a creator",
    given: { ...JOINED, create: { additional_creators: [BOB] } },
    when: TOPIC,
  },
];

const REDACTION = { type: "m.room.redaction", sender: CAROL, event_id: "$x:hs2.test" } as const;

/** @spec rooms/v2#authorisation-rules 11 */
const REDACTIONS: readonly Case[] = [
  {
    rule: "v2:11.1",
    versions: versions(1, 2),
    allowed: true,
    what: "by one who may redact",
    given: { ...JOINED, levels: { redact: 0 } },
    when: { ...REDACTION, redacts: "$y:hs1.test" },
  },
  {
    rule: "v2:11.2",
    versions: versions(1, 2),
    allowed: true,
    what: "of an event of the same server",
    given: JOINED,
    when: { ...REDACTION, redacts: "$y:hs2.test" },
  },
  {
    rule: "v2:11.3",
    versions: versions(1, 2),
    allowed: false,
    what: "of an event of another server",
    given: JOINED,
    when: { ...REDACTION, redacts: "$y:hs1.test" },
  },
  {
    rule: "v2:11.3",
    versions: versions(1, 2),
    allowed: false,
    what: "of nothing",
    given: JOINED,
    when: REDACTION,
  },
  {
    rule: "11",
    versions: versions(3),
    allowed: true,
    what: "a redaction, whatever it redacts",
    given: JOINED,
    when: { ...REDACTION, redacts: "$y:hs1.test" },
  },
];

/** The rules that are about no one type of state. @spec rooms/v12#authorisation-rules */
export const OTHER = [...ROOM, ...ALIAS, ...REST, ...REDACTIONS];
