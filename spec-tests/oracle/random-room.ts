import { checkAuthEvents, selectAuthEvents } from "#src/events/auth-rules/auth-events.ts";
import type { StateLookup } from "#src/events/auth-rules/auth-state.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import type { Verdict } from "#src/events/auth-rules/verdict.ts";
import { parsePdu } from "#src/events/parse-pdu.ts";
import { type Pdu, type StateKey, stateKeyOf } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { Dice } from "./dice.ts";
import { createContent, type Draft, randomDraft } from "./random-drafts.ts";
import { firstPowerLevels } from "./random-levels.ts";
import { USERS } from "./random-users.ts";

/** An event of a random room that has its version's format. */
export type Placed = { readonly event: Pdu; readonly text: string; readonly rejected: boolean };

/** An event that somebody tried to send, what they sent it in, and what our rules said. */
export type Attempt = {
  readonly event: Pdu;
  readonly text: string;
  /** Places in the pool of the events that are the state it is checked against. */
  readonly state: readonly number[];
  readonly byAuthEvents: Verdict;
  readonly byState: Verdict;
};

export type State = ReadonlyMap<StateKey, Pdu>;

/** A room that went through some random events, on one or more branches. */
export type RandomRoom = {
  readonly rules: RoomVersionRules;
  /** Accepted events, and some rejected ones, each after its auth events. */
  readonly pool: readonly Placed[];
  readonly attempts: readonly Attempt[];
  /** The state of the room at the end of each branch, and at some moments before. */
  readonly states: readonly State[];
};

type Branch = { state: Map<StateKey, Pdu>; last: Pdu };

/** The rules that reject a membership that has not what every membership has. */
const MALFORMED = new Set(["5.1", "5.4.1.2", "5.4.1.3"]);

/** What a room under way knows. */
class RoomUnderWay {
  readonly dice: Dice;
  readonly rules: RoomVersionRules;
  readonly creator: string;
  readonly pool: Placed[] = [];
  readonly places = new Map<EventId, number>();
  readonly attempts: Attempt[] = [];
  readonly snapshots: State[] = [];
  branches: Branch[] = [];
  #count = 0;

  constructor(seed: number, rules: RoomVersionRules) {
    this.dice = new Dice(seed);
    this.rules = rules;
    this.creator = this.dice.chance(95) ? USERS[0] : USERS[5];
  }

  /** The events of an event's `auth_events`: mostly those that it should have. */
  #authEventsFor(draft: Draft, lookup: StateLookup): Pdu[] {
    const subject = draft as unknown as Parameters<typeof selectAuthEvents>[0];
    const chosen = selectAuthEvents(subject, lookup, this.rules);
    const { dice } = this;
    if (!dice.chance(8)) return chosen;
    const odd = dice.below(3);
    if (odd === 0) return chosen.filter(() => dice.chance(70));
    const other = dice.pick(this.pool).event;
    return odd === 1 ? [...chosen, other] : [...chosen.slice(1), other];
  }

  /** The text of an event, as another server would have sent it. */
  #textOf(draft: Draft, prev: readonly Pdu[], authEvents: readonly Pdu[]): string {
    const { dice, rules } = this;
    const server = serverOf(draft.sender);
    const nameless = rules.roomIdIsCreateEventId && draft.type === "m.room.create";
    const namesRoom = !nameless || (this.pool.length > 0 && dice.chance(3));
    const ids = new Set(authEvents.map(({ event_id }) => event_id));
    const cite = (id: EventId): unknown =>
      rules.eventFormat === "ids" ? id : [id, { sha256: "bm90IGxvb2tlZCBhdA" }];
    return JSON.stringify({
      ...draft,
      ...(rules.eventIdFormat === "assigned" && {
        event_id: `$${String(++this.#count)}:${server}`,
      }),
      ...(namesRoom && {
        room_id: this.pool[0]?.event.room_id ?? `!r:${serverOf(this.creator)}`,
      }),
      auth_events: [...ids].map(cite),
      prev_events: prev.map(({ event_id }) => cite(event_id)),
      depth: Math.max(0, ...prev.map(({ depth }) => depth)) + 1,
      origin_server_ts: 1_700_000_000_000 + this.pool.length + dice.below(4),
      hashes: { sha256: "bm90IGxvb2tlZCBhdA" },
      signatures: {},
    });
  }

  /** Gives an event its place in the pool, or none; says whether it is accepted. */
  #place({ event, text, byAuthEvents, byState }: Attempt): boolean {
    const allowed = byAuthEvents.allowed && byState.allowed;
    // What fails by its auth events is dropped for good; and some of it Synapse cannot even hold.
    const mayStay =
      byAuthEvents.allowed && event.type !== "m.room.create" && !MALFORMED.has(byState.rule);
    const stays = allowed || (mayStay && this.dice.chance(10));
    if (!stays || this.places.has(event.event_id)) return false;
    this.places.set(event.event_id, this.pool.length);
    this.pool.push({ event, text, rejected: !allowed });
    return allowed;
  }

  /**
   * Sends an event on a branch. If our rules allow it, it becomes a part of the room; if not, now and
   * then a rejected part.
   */
  send(draft: Draft, branch: Branch | undefined): Pdu | undefined {
    const state: State = branch?.state ?? new Map();
    const lookup: StateLookup = (type, key) => state.get(stateKeyOf(type, key));
    const authEvents = branch ? this.#authEventsFor(draft, lookup) : [];
    const text = this.#textOf(draft, branch ? [branch.last] : [], authEvents);
    const parsed = parsePdu(parseWireJson(text), this.rules);
    if (!parsed.ok) return undefined;

    const { event } = parsed;
    const cited = event.auth_events.map((id) => this.pool[this.places.get(id) ?? 0] as Placed);
    const byAuthEvents = checkAuthEvents(event, cited, this.rules);
    const byState = checkAuthRules(event, lookup, this.rules);
    const places = [...state.values()].map(({ event_id }) => this.places.get(event_id) ?? 0);
    const attempt = { event, text, state: places, byAuthEvents, byState };
    this.attempts.push(attempt);
    if (!this.#place(attempt)) return undefined;
    if (branch) {
      if (event.state_key !== undefined) {
        branch.state.set(stateKeyOf(event.type, event.state_key), event);
      }
      branch.last = event;
    }
    return event;
  }
}

/**
 * A room, and what was tried in it.
 *
 * @param seed the same seed makes the same room.
 */
export function randomRoom(seed: number, rules: RoomVersionRules): RandomRoom {
  const room = new RoomUnderWay(seed, rules);
  const { dice } = room;
  begin(room);
  for (let left = 10 + dice.below(22); left > 0; left -= 1) {
    const branch = dice.pick(room.branches);
    if (room.branches.length < 4 && dice.chance(12)) {
      room.branches.push({ state: new Map(branch.state), last: branch.last });
    }
    if (dice.chance(6)) room.snapshots.push(new Map(branch.state));
    const lookup: StateLookup = (type, key) => branch.state.get(stateKeyOf(type, key));
    const anEvent = dice.pick(room.pool).event.event_id;
    room.send(randomDraft({ dice, rules, creator: room.creator, lookup, anEvent }), branch);
  }
  return {
    rules,
    pool: room.pool,
    attempts: room.attempts,
    states: [...room.branches.map(({ state }) => state), ...room.snapshots],
  };
}

/** The events that a room begins with: its creation and, mostly, the settings of a usual room. */
function begin(room: RoomUnderWay): void {
  const { dice, rules, creator } = room;
  const create = room.send(
    { type: "m.room.create", sender: creator, state_key: "", content: createOf(room) },
    undefined,
  );
  if (!create) throw new Error("a room that cannot be made");
  const branch: Branch = {
    state: new Map([[stateKeyOf("m.room.create", ""), create]]),
    last: create,
  };
  room.branches = [branch];

  const state = (type: string, content: Draft["content"], state_key = ""): void => {
    room.send({ type, sender: creator, state_key, content }, branch);
  };
  state("m.room.member", { membership: "join" }, creator);
  if (dice.chance(85)) state("m.room.power_levels", firstPowerLevels(dice, creator, rules));
  const join_rule = dice.pick([
    "public",
    "public",
    "invite",
    "knock",
    "restricted",
    "knock_restricted",
  ]);
  if (dice.chance(90)) state("m.room.join_rules", { join_rule });
  for (const user of dice.some(USERS, 40)) {
    room.send(
      { type: "m.room.member", sender: user, state_key: user, content: { membership: "join" } },
      branch,
    );
  }
}

/** A create event that will be accepted: until version 11, of the room ID's server. */
function createOf({ dice, rules, creator }: RoomUnderWay): Draft["content"] {
  return createContent(dice, rules, creator, 0);
}

function serverOf(user: string): string {
  return user.slice(user.indexOf(":") + 1);
}
