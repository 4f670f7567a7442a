import { describe, expect, test } from "vitest";
import {
  type AuthEvent,
  checkAuthEvents,
  selectAuthEvents,
} from "#src/events/auth-rules/auth-events.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import type { RuleNumber } from "#src/events/auth-rules/verdict.ts";
import type { Pdu } from "#src/events/pdu.ts";
import { event, rulesOf } from "#src/events/testing.ts";
import { CREATE } from "./cases-create.ts";
import { MEMBER } from "./cases-member.ts";
import { OTHER } from "./cases-other.ts";
import { POWER_LEVELS } from "./cases-power-levels.ts";
import { THIRD_PARTY_INVITE } from "./cases-third-party-invite.ts";
import { ALICE, BOB, member, room, versions } from "./room.ts";
import { ruleNumbersOf } from "./rule-numbers.ts";

/**
 * The authorisation rules of every room version, by their numbers in version 12: a case for each way
 * out of each of them.
 *
 * @spec rooms/v12#authorisation-rules
 */
const CASES = [...CREATE, ...OTHER, ...MEMBER, ...THIRD_PARTY_INVITE, ...POWER_LEVELS];

describe.each(versions(1))("room version %s", (version) => {
  const rules = rulesOf(version);
  const cases = CASES.filter((it) => it.versions.includes(version));

  test.each(cases)("$rule $what", ({ rule, allowed, given = {}, ...it }) => {
    const { lookup, eventOf } = room(given, rules);
    expect(checkAuthRules(eventOf(it), lookup, rules)).toMatchObject({ rule, allowed });
  });

  test("has a case for each of its rules", () => {
    const numbers = [...cases, ...AUTH_EVENTS.filter((it) => it.versions.includes(version))];
    expect(new Set(numbers.map(({ rule }) => rule))).toEqual(ruleNumbersOf(version));
  });
});

type AuthEventsCase = {
  rule: RuleNumber;
  versions: readonly string[];
  allowed: boolean;
  what: string;
  /** What is done to the auth events that the event should have. */
  to: (auth: AuthEvent[], create: Pdu) => AuthEvent[];
};

function accepted(fields: Partial<Pdu>, { room_id }: Pdu): AuthEvent {
  return { event: event({ room_id, ...fields }), rejected: false };
}

/** Rule 3. @spec rooms/v12#authorisation-rules 3 */
const AUTH_EVENTS: readonly AuthEventsCase[] = [
  { rule: "3", versions: versions(1), allowed: true, what: "as selected", to: (auth) => auth },
  {
    rule: "3",
    versions: versions(1),
    allowed: true,
    what: "without the power levels, which another server may not have known",
    to: (auth) => auth.filter((it) => it.event.type !== "m.room.power_levels"),
  },
  {
    rule: "3.1",
    versions: versions(1),
    allowed: false,
    what: "two for one key",
    to: (auth, create) => [...auth, accepted(member(ALICE, "join"), create)],
  },
  {
    rule: "3.2",
    versions: versions(1),
    allowed: false,
    what: "another's membership",
    to: (auth, create) => [...auth, accepted(member(BOB, "join"), create)],
  },
  {
    rule: "3.2",
    versions: versions(1),
    allowed: false,
    what: "a message",
    to: (auth, create) => [...auth, accepted({}, create)],
  },
  {
    rule: "3.2",
    versions: versions(12),
    allowed: false,
    what: "the create event",
    to: (auth, create) => [...auth, { event: create, rejected: false }],
  },
  {
    rule: "3.3",
    versions: versions(1),
    allowed: false,
    what: "a rejected one",
    to: (auth) => auth.map((it, index) => ({ ...it, rejected: index === 1 })),
  },
  {
    rule: "v11:2.4",
    versions: versions(1, 11),
    allowed: false,
    what: "none that is the create event",
    to: (auth) => auth.filter((it) => it.event.type !== "m.room.create"),
  },
  {
    rule: "3.4",
    versions: versions(1),
    allowed: false,
    what: "one of another room",
    to: (auth) =>
      auth.map((it, index) =>
        index === 1 ? { ...it, event: { ...it.event, room_id: "!other:hs1.test" } } : it,
      ),
  },
];

describe.each(versions(1))("auth events in room version %s", (version) => {
  const rules = rulesOf(version);
  const { create, lookup, eventOf } = room({ levels: { ban: 50 } }, rules);
  const message = eventOf({ when: { sender: ALICE } });
  const selected = selectAuthEvents(message, lookup, rules);

  test.each(AUTH_EVENTS.filter((it) => it.versions.includes(version)))(
    "$rule $what",
    ({ rule, allowed, to }) => {
      const authEvents = to(
        selected.map((it) => ({ event: it, rejected: false })),
        create,
      );
      expect(checkAuthEvents(message, authEvents, rules)).toMatchObject({ rule, allowed });
    },
  );

  test("a create event has none, and needs none", () => {
    expect(selectAuthEvents(create, lookup, rules)).toEqual([]);
    expect(checkAuthEvents(create, [], rules).allowed).toBe(true);
  });
});
