import type { Pdu } from "#src/events/pdu.ts";
import { parseLevel } from "#src/events/power-levels.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { Attempt, RandomRoom } from "./random-room.ts";

/**
 * Something that Synapse does otherwise, though the specification is clear. The tests leave out what
 * `applies` says, and fail if it no longer occurs.
 */
export type KnownDifference<Case> = {
  readonly what: string;
  /** Where the specification says so. */
  readonly citation: string;
  readonly applies: (judged: Case) => boolean;
};

/** A verdict that differs. */
export type JudgedAttempt = {
  readonly room: RandomRoom;
  readonly attempt: Attempt;
  /** By the auth events alone, by the state alone, or by both. */
  readonly by: "byAuthEvents" | "byState" | "whole";
  readonly ours: boolean;
  /** The exception, if they refuse. */
  readonly theirs: string | undefined;
};

export const VERDICT_DIFFERENCES: readonly KnownDifference<JudgedAttempt>[] = [
  {
    what: "a room with m.federate false keeps out members of other servers, not only senders",
    citation: "rooms/v12#authorisation-rules 4: the sender domain of the event",
    applies: ({ room, attempt: { event }, ours, theirs }) =>
      ours &&
      theirs?.includes("unfederatable") === true &&
      event.type === "m.room.member" &&
      room.pool[0]?.event.content["m.federate"] === false &&
      domainOf(event.state_key) !== domainOf(room.pool[0].event.sender),
  },
  {
    what: "a user ID without a server may have a power level",
    citation: "rooms/v12#authorisation-rules 10.3: keys that are valid user IDs",
    applies: ({ attempt: { event, byState }, ours, theirs }) =>
      !ours &&
      theirs === undefined &&
      byState.rule === "10.3" &&
      keysOf(event.content["users"]).some((user) => user.endsWith(":")),
  },
  {
    what: "before version 10, true and false are the levels 1 and 0",
    citation: "rooms/v9#authorisation-rules 10.1: values that are integers (or a string)",
    applies: ({ room, attempt, theirs }) =>
      !isCrash(theirs) && eventsOf(room, attempt).some((event) => hasBooleans(event, room.rules)),
  },
  {
    what: "the authorising user is looked at with the signatures, which the oracle is not asked about",
    citation: "rooms/v12#authorisation-rules 5.2.1",
    applies: ({ attempt: { byState }, ours, theirs }) =>
      !ours && theirs === undefined && byState.rule === "5.2.1",
  },
  {
    what: "power levels with a state key are compared with their namesake, not with the room's",
    citation:
      "rooms/v12#authorisation-rules 10.5: no previous m.room.power_levels event in the room",
    applies: ({ attempt: { event, byState }, ours, theirs }) =>
      !ours &&
      theirs === undefined &&
      event.type === "m.room.power_levels" &&
      event.state_key !== "" &&
      byState.rule.startsWith("10."),
  },
  {
    what: "power levels without a state key are beyond it",
    citation: "rooms/v12#authorisation-rules 10: if type is m.room.power_levels",
    applies: ({ attempt: { event }, theirs }) =>
      theirs?.startsWith("AttributeError") === true &&
      event.type === "m.room.power_levels" &&
      event.state_key === undefined,
  },
  {
    what: "a membership of what has no server is an error",
    citation: "rooms/v12#authorisation-rules 5: no step asks for a user ID",
    applies: ({ attempt: { event }, ours, theirs }) =>
      ours &&
      theirs?.includes("Invalid ID") === true &&
      event.type === "m.room.member" &&
      event.state_key?.includes(":") === false,
  },
  {
    what: "before version 10, a level that is none is an error in whoever needs it",
    citation: "rooms/v9#authorisation-rules 10: only users are asked to have integers",
    applies: ({ room, attempt, ours, theirs }) =>
      ours &&
      isCrash(theirs) &&
      eventsOf(room, attempt).some((event) => hasOddLevels(event, room.rules)),
  },
];

/** A resolution with another result. */
export type JudgedResolution = {
  readonly room: RandomRoom;
  readonly sets: readonly (readonly number[])[];
  /** The exception, if there is no result. */
  readonly theirs: string | undefined;
};

export const RESOLUTION_DIFFERENCES: readonly KnownDifference<JudgedResolution>[] = [
  {
    what: "before version 10, a level that is none stops the resolution",
    citation: "rooms/v9#algorithm: an event that is not allowed is ignored",
    applies: ({ room, theirs }) =>
      isCrash(theirs) && room.pool.some(({ event }) => hasOddLevels(event, room.rules)),
  },
  {
    what: "an event that is malformed for it stops the resolution: of what has no server, or rejected",
    citation: "rooms/v12#algorithm: an event that is not allowed is ignored",
    applies: ({ room, sets, theirs }) =>
      theirs?.startsWith("SynapseError: 400:") === true &&
      (sets.flat().some((place) => room.pool[place]?.rejected) ||
        room.pool.some(
          ({ event }) => event.type === "m.room.member" && !event.state_key?.includes(":"),
        )),
  },
  {
    what: "a room with m.federate false keeps out members of other servers, not only senders",
    citation: "rooms/v12#authorisation-rules 4: the sender domain of the event",
    applies: ({ room, theirs }) =>
      theirs === undefined &&
      room.pool[0]?.event.content["m.federate"] === false &&
      room.pool.some(
        ({ event }) =>
          event.type === "m.room.member" &&
          domainOf(event.state_key) !== domainOf(room.pool[0]?.event.sender),
      ),
  },
  {
    what: "power levels with a state key are compared with their namesake, not with the room's",
    citation:
      "rooms/v12#authorisation-rules 10.5: no previous m.room.power_levels event in the room",
    applies: ({ room, sets, theirs }) =>
      theirs === undefined &&
      sets.flat().some((place) => {
        const { type, state_key } = room.pool[place]?.event ?? {};
        return type === "m.room.power_levels" && state_key !== "";
      }),
  },
  {
    what: "a rejected event is never taken into the state, or used from it",
    citation: "rooms/v12#rejected-events: are handled as usual by the algorithm",
    applies: ({ room, sets, theirs }) =>
      theirs === undefined && sets.flat().some((place) => room.pool[place]?.rejected),
  },
];

/** What is left of the differences when the known ones are taken out. */
export type SortedOut<Case> = {
  readonly unexplained: readonly Case[];
  /** How many of the differences each known one explains. */
  readonly counts: ReadonlyMap<string, number>;
  /** The known ones that explain none. */
  readonly gone: readonly string[];
};

/** Takes the known differences out. */
export function sortOut<Case>(
  differing: readonly Case[],
  known: readonly KnownDifference<Case>[],
): SortedOut<Case> {
  const counts = new Map(known.map(({ what }) => [what, 0]));
  const unexplained = differing.filter((judged) => {
    const reason = known.find(({ applies }) => applies(judged));
    if (reason) counts.set(reason.what, (counts.get(reason.what) ?? 0) + 1);
    return !reason;
  });
  const gone = [...counts].flatMap(([what, count]) => (count === 0 ? [what] : []));
  return { unexplained, counts, gone };
}

/** An exception that is no verdict: something in the event was not of the type that was expected. */
function isCrash(theirs: string | undefined): boolean {
  return /^(ValueError|TypeError|AttributeError):/.test(theirs ?? "");
}

/** What a verdict depends on: the event, and the state that it is checked against. */
function eventsOf(room: RandomRoom, { event, state }: Attempt): Pdu[] {
  return [event, ...state.flatMap((place) => room.pool[place]?.event ?? [])];
}

/** Whether power levels of a version that has other levels than integers hold true or false. */
function hasBooleans({ type, content }: Pdu, rules: RoomVersionRules): boolean {
  if (type !== "m.room.power_levels" || rules.integerPowerLevels) return false;
  const values = Object.values(content);
  return [...values, ...values.flatMap(valuesOf)].some((level) => typeof level === "boolean");
}

/** Whether power levels hold something that is no level in their room version. */
function hasOddLevels({ type, content }: Pdu, rules: RoomVersionRules): boolean {
  if (type !== "m.room.power_levels" || rules.integerPowerLevels) return false;
  const { users, events, notifications, ...named } = content;
  const maps = [users, events, notifications].filter((map) => map !== undefined);
  const levels = [...Object.values(named), ...maps.flatMap(valuesOf)];
  return (
    maps.some((map) => typeof map !== "object" || map === null || Array.isArray(map)) ||
    levels.some((level) => parseLevel(level, rules) === undefined)
  );
}

function domainOf(user: string | undefined): string | undefined {
  return user?.slice(user.indexOf(":") + 1);
}

function keysOf(value: unknown): string[] {
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

function valuesOf(value: unknown): unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}
