/** A room of other servers, event by event, to be received. For tests alone. */

import fc from "fast-check";
import {
  type AuthEvent,
  checkAuthEvents,
  selectAuthEvents,
} from "#src/events/auth-rules/auth-events.ts";
import { lookupAmong, type StateLookup } from "#src/events/auth-rules/auth-state.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import { buildEvent, type BuiltEvent, type EventDraft } from "#src/events/build-event.ts";
import { referenceHash } from "#src/events/event-hash.ts";
import { type Pdu, type RoomGraph, type StateKey, stateKeyOf } from "#src/events/pdu.ts";
import { readPowerLevels } from "#src/events/power-levels.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { resolveState } from "#src/events/state-resolution/resolve.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { type EventId, type RoomId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { Room } from "../find-room.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { receiveEvents } from "./receive-events.ts";

export type ModelState = ReadonlyMap<StateKey, EventId>;

/** What a model that looks at everything says of an event. */
export type Modelled = {
  readonly built: BuiltEvent;
  readonly isRejected: boolean;
  readonly before: ModelState;
  readonly after: ModelState;
};

/** A room as nobody has it: all its events, whoever made them, with their states by the text of the specification. */
export class RemoteRoom {
  readonly rules: RoomVersionRules;
  readonly events = new Map<EventId, Modelled>();
  readonly graph: RoomGraph & {
    readonly events: Map<EventId, Pdu>;
    readonly rejected: Set<EventId>;
  } = { events: new Map(), rejected: new Set() };
  roomId: RoomId | undefined;
  #ts = 1_700_000_000_000;
  #count = 0;
  readonly #salt: string;

  constructor(version: string, salt: string) {
    const rules = ROOM_VERSIONS.get(version);
    if (!rules) throw new Error(`no room version ${version}`);
    this.rules = rules;
    this.#salt = salt;
    if (!rules.roomIdIsCreateEventId) this.roomId = `!${salt}:one.test`;
  }

  /** The create event, the creator's join, power levels, and public join rules: the last of them. */
  begin(creator: UserId, levels: Record<string, number> = {}): EventId {
    const { version } = this.rules;
    const content = {
      room_version: version,
      ...(this.rules.creatorInCreateContent && { creator }),
      salt: this.#salt,
    };
    let last = this.add(creator, { type: "m.room.create", state_key: "", content }, []);
    const drafts: EventDraft[] = [
      { type: "m.room.member", state_key: creator, content: { membership: "join" } },
      {
        type: "m.room.power_levels",
        state_key: "",
        content: { users: this.#users(creator, levels) },
      },
      { type: "m.room.join_rules", state_key: "", content: { join_rule: "public" } },
    ];
    for (const draft of drafts) last = this.add(creator, draft, [last]);
    return last;
  }

  #users(creator: UserId, levels: Record<string, number>) {
    return this.rules.privilegedCreators ? levels : { [creator]: 100, ...levels };
  }

  /**
   * Adds an event after others, authorised by the state there, whether or not the rules allow it.
   *
   * @param at after which others the state is by which the event says that it is authorised.
   */
  add(sender: UserId, draft: EventDraft, prev: readonly EventId[], at = prev): EventId {
    const before = this.stateAfter(prev);
    const lookup = this.lookupIn(before);
    const cited = this.lookupIn(this.stateAfter(at));
    const auth = selectAuthEvents({ ...draft, sender }, cited, this.rules);
    const hashes = new Map(
      [...prev, ...auth.map((it) => it.event_id)].map((id) => {
        const wire = this.events.get(id)?.built.wire ?? {};
        return [id, unpaddedBase64(referenceHash(wire, this.rules))];
      }),
    );
    const server = serverNameOf(sender);
    const built = buildEvent(draft, {
      sender,
      roomId: this.roomId,
      rules: this.rules,
      prevEvents: prev,
      authEvents: auth.map((it) => it.event_id),
      referenceHashes: hashes,
      depth: 1 + Math.max(0, ...prev.map((id) => this.graph.events.get(id)?.depth ?? 0)),
      now: (this.#ts += 1),
      server,
      signingKey: signingKeyFromSeed("ed25519:1", Buffer.alloc(32, server)),
      eventIdLocalpart: `${this.#salt}-${this.#count++}`,
    });
    this.roomId ??= built.event.room_id;
    const id = built.event.event_id;
    const authEvents: AuthEvent[] = auth.map((event) => ({
      event,
      rejected: this.graph.rejected.has(event.event_id),
    }));
    const isRejected = !(
      checkAuthEvents(built.event, authEvents, this.rules).allowed &&
      checkAuthRules(built.event, lookupAmong([...auth, ...this.#create()]), this.rules).allowed &&
      checkAuthRules(built.event, lookup, this.rules).allowed
    );
    this.graph.events.set(id, built.event);
    if (isRejected) this.graph.rejected.add(id);
    const isState = draft.state_key !== undefined && !isRejected;
    const after = isState
      ? new Map(before).set(stateKeyOf(draft.type, draft.state_key ?? ""), id)
      : before;
    this.events.set(id, { built, isRejected, before, after });
    return id;
  }

  stateAfter(ids: readonly EventId[]): ModelState {
    const states = [...new Set(ids)].map((id) => this.events.get(id)?.after ?? new Map());
    const [only] = states;
    if (states.length === 1 && only) return only;
    return states.length === 0 ? new Map() : resolveState(states, this.graph, this.rules);
  }

  lookupIn(state: ModelState): StateLookup {
    return (type, key) => {
      const id = state.get(stateKeyOf(type, key));
      return id === undefined ? undefined : this.graph.events.get(id);
    };
  }

  received(id: EventId) {
    const built = this.events.get(id)?.built;
    if (!built) throw new Error("no such event");
    return { event: built.event, json: built.json };
  }

  #create(): Pdu[] {
    if (!this.rules.roomIdIsCreateEventId) return [];
    const create = this.roomId && this.graph.events.get(`$${this.roomId.slice(1)}`);
    return create ? [create] : [];
  }
}

/** What a room should be after events have come in an order, worked out from the beginning. */
export function replay(room: RemoteRoom, order: readonly EventId[]) {
  const softFailed = new Set<EventId>();
  const here = new Set<EventId>();
  const passed = (id: EventId) => softFailed.has(id) || room.graph.rejected.has(id);
  let extremities: EventId[] = [];
  let current: ModelState = new Map();
  for (const id of order) {
    const event = room.graph.events.get(id);
    if (!event) continue;
    here.add(id);
    if (room.graph.rejected.has(id)) continue;
    if (!checkAuthRules(event, room.lookupIn(current), room.rules).allowed) {
      softFailed.add(id);
      continue;
    }
    const followed = new Set<EventId>();
    const waiting = [...event.prev_events];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (followed.has(next)) continue;
      followed.add(next);
      if (passed(next)) waiting.push(...(room.graph.events.get(next)?.prev_events ?? []));
    }
    extremities = [...extremities.filter((it) => !followed.has(it)), id];
    current = room.stateAfter(extremities);
  }
  return { current, extremities, softFailed };
}

/**
 * Which of a room's stored events are redacted though nothing does that, or by another than what does, or are not
 * though something does: a redaction that is part of the room, and whose sender might redact what that other one sent.
 *
 * @spec rooms/v3#handling-redactions
 */
export function wronglyRedacted(room: RemoteRoom, stored: readonly StoredEvent[]): StoredEvent[] {
  const idsByKey = new Map(stored.map((it) => [it.eventKey, it.eventId]));
  const redactions = stored
    .filter((it) => it.type === "m.room.redaction" && isPart(it))
    .flatMap((it) => room.graph.events.get(it.eventId) ?? []);
  return stored.filter(({ eventId, redactedBy }) => {
    const by = redactions
      .filter((it) => it.redacts === eventId && mayRedact(room, it))
      .map((it) => it.event_id);
    if (redactedBy === undefined) return by.length > 0;
    return !by.includes(idsByKey.get(redactedBy) ?? "$");
  });
}

/** Whether an event is part of its room, told to clients or not. */
export function isPart({ status }: Pick<StoredEvent, "status">): boolean {
  return status === EventStatus.accepted || status === EventStatus.untold;
}

/**
 * Which of a room's stored events are redactions that clients are told of though they redact nothing. Of what was
 * rejected nobody hears either way.
 */
export function wronglyTold(room: RemoteRoom, stored: readonly StoredEvent[]): StoredEvent[] {
  return stored.filter((it) => {
    if (it.type !== "m.room.redaction" || it.status !== EventStatus.accepted) return false;
    const redaction = room.graph.events.get(it.eventId);
    const target = stored.find((own) => own.eventId === redaction?.redacts);
    return !redaction || !target || !mayRedact(room, redaction);
  });
}

function mayRedact(room: RemoteRoom, { event_id, sender, redacts = "$" }: Pdu): boolean {
  const before = room.lookupIn(room.events.get(event_id)?.before ?? new Map());
  const create = before("m.room.create", "");
  if (!create) throw new Error("a room was redacted before it began");
  const levels = readPowerLevels(before("m.room.power_levels", ""), create, room.rules);
  const target = room.graph.events.get(redacts)?.sender ?? "@:";
  return (
    levels.powerOf(sender) >= levels.named("redact") ||
    serverNameOf(sender) === serverNameOf(target)
  );
}

/** Those who are in a `forkedRoom`. */
export const USERS: readonly UserId[] = [
  "@creator:one.test",
  "@bob:two.test",
  "@carol:three.test",
  "@local:test",
];

export type Step = {
  readonly sender: number;
  readonly target: number;
  readonly kind: string;
  readonly level: number;
  /** How far back from the newest the events are that it follows, and the one that it redacts if it does. */
  readonly back: readonly number[];
  readonly redacts: number;
};

/** What happens in a room. */
export const steps = fc.array(
  fc.record({
    sender: fc.nat(3),
    target: fc.nat(3),
    kind: fc.constantFrom(
      "message",
      "topic",
      "name",
      "levels",
      "join",
      "leave",
      "kick",
      "ban",
      "rules",
      "redaction",
      "redaction",
    ),
    level: fc.constantFrom(0, 50, 100),
    back: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }),
    redacts: fc.nat(5),
  }),
  { minLength: 4, maxLength: 22 },
);

function draftOf({ kind, sender, target, level }: Step, index: number): EventDraft {
  const own = USERS[sender] ?? "@a:b";
  const theirs = USERS[target] ?? "@a:b";
  const member = (user: UserId, membership: string) => ({
    type: "m.room.member",
    state_key: user,
    content: { membership },
  });
  switch (kind) {
    case "topic":
      return { type: "m.room.topic", state_key: "", content: { topic: `${index}` } };
    case "name":
      return { type: "m.room.name", state_key: "", content: { name: `${index}` } };
    case "rules":
      return {
        type: "m.room.join_rules",
        state_key: "",
        content: { join_rule: level === 0 ? "invite" : "public" },
      };
    case "levels":
      return {
        type: "m.room.power_levels",
        state_key: "",
        content: { users: { [theirs]: level, [own]: 100 }, events: { "m.room.topic": level } },
      };
    case "join":
    case "leave":
      return member(own, kind);
    case "kick":
      return member(theirs, "leave");
    case "ban":
      return member(theirs, "ban");
    default:
      return { type: "m.room.message", content: { body: `${index}` } };
  }
}

function redactionOf(redacts: EventId): EventDraft {
  return { type: "m.room.redaction", content: {}, redacts };
}

let rooms = 0;

/** A room in which everybody is, and which then goes its random ways. */
export function forkedRoom(version: string, its: readonly Step[]) {
  const room = new RemoteRoom(version, `room${rooms++}`);
  let last = room.begin(USERS[0] as UserId, { "@bob:two.test": 100, "@carol:three.test": 50 });
  for (const user of USERS.slice(1)) {
    const draft = { type: "m.room.member", state_key: user, content: { membership: "join" } };
    last = room.add(user, draft, [last]);
  }
  const basis = [...room.events.keys()];
  const tips = [last];
  for (const [index, step] of its.entries()) {
    const prev = [...new Set(step.back.map((n) => tips.at(-1 - n) ?? last))];
    const target = tips.at(-1 - step.redacts) ?? last;
    const draft = step.kind === "redaction" ? redactionOf(target) : draftOf(step, index);
    tips.push(room.add(USERS[step.sender] as UserId, draft, prev));
  }
  return { room, basis, later: tips.slice(1) };
}

/** Events in a random order, by ranks, in batches of random sizes. */
export function inBatches(
  ids: readonly EventId[],
  { shuffle, sizes }: { shuffle: readonly number[]; sizes: readonly number[] },
): EventId[][] {
  const order = ids
    .map((id, index) => ({ id, rank: shuffle[index] ?? 0 }))
    .toSorted((a, b) => a.rank - b.rank)
    .map((it) => it.id);
  const batches: EventId[][] = [];
  for (let at = 0, index = 0; at < order.length; index++) {
    const size = sizes[index] ?? 1;
    batches.push(order.slice(at, at + size));
    at += size;
  }
  return batches;
}

/** Delivers events. @returns those that could not be judged, since their auth events have not come. */
export async function deliverBatch(
  hs: Homeserver,
  room: Room,
  remote: RemoteRoom,
  batch: readonly EventId[],
): Promise<EventId[]> {
  const receipts = await receiveEvents(
    hs,
    room,
    batch.map((id) => remote.received(id)),
  );
  return batch.filter((id) => receipts.get(id)?.outcome === "unverifiable");
}

/**
 * Delivers events as they happen, and waits until they are told.
 *
 * @param given the one among them before which another server has said what the state is.
 */
export async function deliverLive(
  hs: Homeserver,
  { room, remote }: { readonly room: Room; readonly remote: RemoteRoom },
  ids: readonly EventId[],
  given?: EventId,
): Promise<void> {
  const states = new Map(
    given ? [[given, [...(remote.events.get(given)?.before.values() ?? [])]] as const] : [],
  );
  const received = ids.map((id) => remote.received(id));
  await receiveEvents(hs, room, received, { as: "live", states });
  await tailOf(hs).catchUp();
}
