import { selectAuthEvents } from "#src/events/auth-rules/auth-events.ts";
import { eventIdOf } from "#src/events/event-hash.ts";
import { pduOf } from "#src/events/parse-pdu.ts";
import { type Pdu, type RoomGraph, type StateKey, stateKeyOf } from "#src/events/pdu.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { StateMap } from "#src/events/state-resolution/state-map.ts";
import type { EventId } from "#src/kit/identifiers.ts";

export type ForkedRoomSetting = {
  readonly members: number;
  /** How many entries of the state the two branches disagree on. */
  readonly conflicts: number;
  readonly rules: RoomVersionRules;
};

/** A room whose two branches disagree. */
export type ForkedRoom = {
  readonly graph: RoomGraph;
  readonly stateSets: readonly StateMap[];
  /** An event's number: above those of its auth events. */
  readonly orderOf: (id: EventId) => number;
  /** The events in both branches' states with this number or a greater one. */
  readonly sharedNotBefore: (order: number) => EventId[];
  /** The same for the oracle. */
  readonly item: { version: string; pool: string[]; sets: number[][] };
};

const ADMIN = "@admin:hs0.test";
const POWER_LEVELS = {
  users: {},
  users_default: 0,
  state_default: 0,
  ban: 50,
  kick: 50,
  invite: 0,
};

/** Builds the room: one entry in seven a ban on one branch, one in six some other state. */
export function forkedRoom({ members, conflicts, rules }: ForkedRoomSetting): ForkedRoom {
  const maker = new RoomMaker(rules);
  const root = new Map<StateKey, Pdu>();
  const creator = rules.creatorInCreateContent ? { creator: ADMIN } : {};
  maker.send(root, ADMIN, ["m.room.create", "", { room_version: rules.version, ...creator }]);
  maker.send(root, ADMIN, ["m.room.member", ADMIN, { membership: "join" }]);
  const users = rules.privilegedCreators ? {} : { [ADMIN]: 100 };
  maker.send(root, ADMIN, ["m.room.power_levels", "", { ...POWER_LEVELS, users }]);
  maker.send(root, ADMIN, ["m.room.join_rules", "", { join_rule: "public" }]);
  for (let number = 0; number < members; number += 1) {
    const user = userOf(number);
    maker.send(root, user, ["m.room.member", user, { membership: "join" }]);
  }

  const sharedFrom = maker.events.length;
  const branches = [0, 1].map((branch) => {
    const state = new Map(root);
    // One of the entries is the power levels, changed a few times on each branch.
    for (let change = 0; change < 5; change += 1) {
      const content = { ...POWER_LEVELS, users: { ...users, [userOf(change)]: 10 + branch } };
      maker.send(state, ADMIN, ["m.room.power_levels", "", content]);
    }
    for (let entry = 1; entry < conflicts; entry += 1) sendEntry(maker, state, branch, entry);
    return state;
  });

  const stateSets = branches.map(
    (state): StateMap => new Map([...state].map(([key, { event_id }]) => [key, event_id])),
  );
  const shared = [...root].filter(([key, { event_id }]) =>
    stateSets.every((set) => set.get(key) === event_id),
  );
  const orderOf = (id: EventId): number => maker.order.get(id) ?? -1;
  return {
    graph: { events: new Map(maker.events.map((pdu) => [pdu.event_id, pdu])), rejected: new Set() },
    stateSets,
    orderOf,
    sharedNotBefore: (order) =>
      order >= sharedFrom
        ? []
        : shared.map(([, { event_id }]) => event_id).filter((id) => orderOf(id) >= order),
    item: {
      version: rules.version,
      pool: maker.texts,
      sets: stateSets.map((set) => [...set.values()].map(orderOf)),
    },
  };
}

function sendEntry(
  maker: RoomMaker,
  state: Map<StateKey, Pdu>,
  branch: number,
  entry: number,
): void {
  const user = userOf(entry);
  const named = { membership: "join", displayname: `${user} ${branch}` };
  if (entry % 6 === 0) {
    maker.send(state, user, ["org.example.state", `key ${entry}`, { value: branch }]);
  } else if (entry % 7 === 0 && branch === 1) {
    maker.send(state, ADMIN, ["m.room.member", user, { membership: "ban" }]);
  } else {
    maker.send(state, user, ["m.room.member", user, named]);
  }
}

function userOf(number: number): string {
  return `@user-${number}:hs${number % 50}.test`;
}

type StateEvent = readonly [type: string, stateKey: string, content: Record<string, unknown>];

/** Makes events with the auth events that they should have. */
class RoomMaker {
  readonly events: Pdu[] = [];
  readonly texts: string[] = [];
  readonly order = new Map<EventId, number>();
  readonly #rules: RoomVersionRules;

  constructor(rules: RoomVersionRules) {
    this.#rules = rules;
  }

  send(state: Map<StateKey, Pdu>, sender: string, [type, state_key, content]: StateEvent): void {
    const rules = this.#rules;
    const subject = { type, state_key, sender, content } as unknown as Pdu;
    const authEvents = selectAuthEvents(subject, (...key) => state.get(stateKeyOf(...key)), rules);
    const isFirst = this.events.length === 0;
    const room_id = this.events[0]?.room_id ?? "!room:hs0.test";
    const wire = {
      type,
      state_key,
      sender,
      content,
      ...(!(isFirst && rules.roomIdIsCreateEventId) && { room_id }),
      auth_events: authEvents.map(({ event_id }) => event_id),
      prev_events: isFirst ? [] : [this.events.at(-1)?.event_id],
      depth: this.events.length + 1,
      origin_server_ts: 1_700_000_000_000 + this.events.length,
      hashes: { sha256: "" },
      signatures: {},
    } as unknown as WireEvent;
    const pdu = pduOf(eventIdOf(wire, rules), wire, rules);
    this.order.set(pdu.event_id, this.events.length);
    this.events.push(pdu);
    this.texts.push(JSON.stringify(wire));
    state.set(stateKeyOf(type, state_key), pdu);
  }
}
