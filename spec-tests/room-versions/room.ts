import { lookupAmong, type StateLookup } from "#src/events/auth-rules/auth-state.ts";
import type { RuleNumber } from "#src/events/auth-rules/verdict.ts";
import type { Pdu } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { event } from "#src/events/testing.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";

export const ALICE: UserId = "@alice:hs1.test";
export const BOB: UserId = "@bob:hs1.test";
export const CAROL: UserId = "@carol:hs2.test";

/** How a room of Alice's stands. She has created it and joined; nothing else has happened. */
export type Setup = {
  /** In the create event's content. */
  create?: CanonicalObject;
  joinRule?: string;
  /** Memberships by user ID. */
  members?: Readonly<Record<string, string>>;
  /** Content of the power levels event. Without it there is none. */
  levels?: CanonicalObject;
  /** Other state events. */
  others?: readonly Partial<Pdu>[];
  /** Even the create event is missing from the state. */
  empty?: boolean;
};

/** One case of a rule: in this room, that event meets it. */
export type Case = {
  rule: RuleNumber;
  /** The room versions that have the rule so. */
  versions: readonly string[];
  allowed: boolean;
  what: string;
  given?: Setup;
  when: Partial<Pdu>;
  /** The event's only previous event is the create event. */
  afterCreate?: boolean;
};

/** The identifiers of the room versions between two, both included. */
export function versions(from: number, to = 12): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}

export type Room = {
  create: Pdu;
  lookup: StateLookup;
  /** The event of a case, in this room. */
  readonly eventOf: (it: Pick<Case, "when" | "afterCreate">) => Pdu;
};

/** Makes a room of some version as a setup says. */
export function room(setup: Setup, rules: RoomVersionRules): Room {
  const createId: EventId = "$create:hs1.test";
  const room_id: RoomId = rules.roomIdIsCreateEventId ? "!create:hs1.test" : "!room:hs1.test";
  const create = event({
    event_id: createId,
    room_id,
    type: "m.room.create",
    state_key: "",
    sender: ALICE,
    content: {
      room_version: rules.version,
      ...(rules.creatorInCreateContent && { creator: ALICE }),
      ...setup.create,
    },
  });

  const members = Object.entries({ [ALICE]: "join", ...setup.members });
  const state: Partial<Pdu>[] = members.map(([user, membership]) => member(user, membership));
  const { joinRule, levels } = setup;
  if (joinRule) {
    state.push({ type: "m.room.join_rules", state_key: "", content: { join_rule: joinRule } });
  }
  if (levels) state.push({ type: "m.room.power_levels", state_key: "", content: levels });
  state.push(...(setup.others ?? []));

  const events = [create, ...state.map((fields) => event({ room_id, ...fields }))];
  return {
    create,
    lookup: lookupAmong(setup.empty ? [] : events),
    eventOf: ({ when, afterCreate }) =>
      event({ room_id, prev_events: [afterCreate ? createId : "$previous:hs1.test"], ...when }),
  };
}

/** The fields of a membership that a user has given themselves, unless by another. */
export function member(
  user: string,
  membership: string,
  { by = user, ...content }: { by?: string } & CanonicalObject = {},
): Partial<Pdu> {
  return {
    type: "m.room.member",
    state_key: user,
    sender: by as UserId,
    content: { membership, ...content },
  };
}
