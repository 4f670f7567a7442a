import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import type { StateLookup } from "#src/events/auth-rules/auth-state.ts";
import { isUserId } from "#src/events/event-identifiers.ts";
import type { Pdu } from "#src/events/pdu.ts";
import { type PowerLevels, readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { findEvents, rememberEvent } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { eventsByIds } from "../queries-events.ts";
import { pairKey, slotsOf, type StatePair } from "../state-slots.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { userKeysOf } from "../user-keys.ts";
import type { PendingEvent, RoomReading } from "./auth-graph.ts";
import { type Decision, decide, type Standing } from "./decide.ts";
import { withEntry } from "./draft-maps.ts";
import type { DraftedState, EntryRef } from "./drafted-state.ts";
import { inOrder } from "./in-order.ts";
import { type FoundState, lookUpState } from "./look-up-state.ts";
import { withCitedMembers } from "./partial-lookup.ts";
import { type KnownStates, stateBefore } from "./state-before.ts";

/** An event that another server made, which has passed the checks 1 to 3. */
export type ReceivedEvent = {
  readonly event: Pdu;
  /** Its text, as it is stored and sent on; redacted if its content was not what its maker hashed. */
  readonly json: string;
  /** Why the room's policy server does not want it, if so. */
  readonly refusedByPolicy?: string;
  /** Whether it names who authorised it, and that user's server has not signed it. Then it is rejected. */
  readonly lacksAuthorisersSignature?: true;
};

/** A received event, and what follows from its own history: none of this ever changes. */
export type Assessed = PendingEvent & {
  readonly received: ReceivedEvent;
  readonly senderKey: number;
  /** The event as it was stored before, without a place in the room. */
  readonly outlier: StoredEvent | undefined;
  /** By the checks that look at its history: accepted or rejected. */
  readonly decision: Decision;
  /** The slot of its type and state key. */
  readonly slot: number | undefined;
  readonly replaces: EntryRef | undefined;
  /** Who could do what when it was sent; undefined where its state has no create event. */
  readonly levels: PowerLevels | undefined;
  /** Those of its `prev_events` that are not known. */
  readonly missing: readonly EventId[];
  /** Its auth events, while the room's members are not all known: see `withCitedMembers`. */
  readonly cited?: readonly Pdu[];
};

/** What became of received events, as far as their own history decides. */
export type Assessment = {
  /** Each after those of them that it stands on. */
  readonly assessed: readonly Assessed[];
  /** Those that are stored already, by their IDs. */
  readonly known: ReadonlyMap<EventId, StoredEvent>;
  /** Those that cannot be judged, since events that they name as their auth events are not known. */
  readonly unverifiable: readonly EventId[];
};

export type AssessOptions = {
  readonly states: KnownStates;
  /** Those of them that are stored, if that is known; the others are not looked for. */
  readonly stored?: ReadonlySet<EventId>;
  /** Whether events are wanted only because others name them: they get no place in the room. */
  readonly asOutliers?: boolean;
  /** Whether the states that are given lack members; if that is not said, they do if the room's own state does. */
  readonly lacksMembers?: boolean;
  /** Whether a given state is no reason to reject an event: then that waits until it is known what leads to it. */
  readonly doubtsGiven?: boolean;
  /** Whether they have their places already, and are judged again. */
  readonly again?: boolean;
};

/**
 * Judges events by what they name: their auth events, and the state before them. Done before the lane is
 * taken, since it takes long and never changes.
 */
export async function assessEvents(
  hs: Homeserver,
  room: Room,
  received: readonly ReceivedEvent[],
  options: AssessOptions,
): Promise<Assessment> {
  const known = await namedEvents(hs, received, options.stored);
  const events = received.map((it) => asStored(it, known.get(it.event.event_id), room));
  const isNew = ({ event }: ReceivedEvent) => {
    const stored = known.get(event.event_id);
    if (options.again) return true;
    if (stored && stored.roomKey !== room.roomKey) return false;
    return !stored || (options.asOutliers ? !isJudged(stored) : isUnplaced(stored));
  };
  // Those that have their places are in order, and what each has met depends on that.
  const ordered = options.again ? events : inOrder(events.filter(isNew));
  const [slots, userKeys] = await Promise.all([slotsOfEvents(hs, ordered), usersOf(hs, ordered)]);

  const pending = new Map<EventId, Assessed>();
  const reading: RoomReading = { room, db: hs.sql, pending };
  for (const it of ordered) {
    const { event } = it;
    const auth = authEventsOf(event, known, pending);
    if (!auth) continue;
    const senderKey = userKeys.get(event.sender);
    if (senderKey === undefined) continue;
    const slot =
      event.state_key === undefined ? undefined : slots.get(pairKey(event.type, event.state_key));
    const own = { received: it, auth, senderKey, slot, outlier: known.get(event.event_id) };
    const assessed = await assess(hs, reading, own, { known, options });
    const isDoubted = options.doubtsGiven === true && isByGiven(assessed, options.states);
    const without = { ...options, states: { ...options.states, given: NO_STATES } };
    const left = isDoubted ? await assess(hs, reading, own, { known, options: without }) : assessed;
    pending.set(event.event_id, left);
  }
  return {
    assessed: [...pending.values()],
    known: new Map(
      events
        .filter((it) => !isNew(it))
        .flatMap(({ event }) => {
          const stored = known.get(event.event_id);
          return stored ? [[event.event_id, stored] as const] : [];
        }),
    ),
    unverifiable: events
      .filter((it) => isNew(it) && !pending.has(it.event.event_id))
      .map((it) => it.event.event_id),
  };
}

const NO_STATES: KnownStates["given"] = new Map();

/** Whether an event is rejected for no other reason than the state before it that another server has given. */
function isByGiven({ event, decision, missing }: Assessed, { given }: KnownStates): boolean {
  const isByState = decision.outcome === "rejected" && decision.check === 5;
  return isByState && missing.length > 0 && given.has(event.event_id);
}

/** The events themselves, and all that they name, as far as they are stored. */
async function namedEvents(
  hs: Homeserver,
  events: readonly ReceivedEvent[],
  stored?: ReadonlySet<EventId>,
): Promise<ReadonlyMap<EventId, StoredEvent>> {
  const ids = new Set(events.map((it) => it.event.event_id));
  const unstored = stored ? ids.difference(stored) : NONE;
  const named = events.flatMap(({ event }) => [...event.auth_events, ...event.prev_events]);
  const known = await findEvents(hs, [...new Set([...ids, ...named]).difference(unstored)]);
  // One that was stored without a place may have got one since, in a process of which we have not heard yet.
  const unplaced = events
    .flatMap(({ event }) => [event.event_id, ...event.prev_events])
    .filter((id) => known.get(id)?.anchor === undefined && known.has(id));
  if (unplaced.length > 0) {
    for (const row of await eventsByIds(hs.sql, unplaced)) {
      known.set(row.event_id, rememberEvent(hs, row));
    }
  }
  return known;
}

const NONE: ReadonlySet<EventId> = new Set();

/**
 * An event as it is stored, if it is. Versions 1 and 2 let whoever sends an event name it, so it may come again as another
 * one: were that judged in its place, what is stored would have what it was not judged for.
 */
function asStored(
  it: ReceivedEvent,
  stored: StoredEvent | undefined,
  { roomKey, rules }: Room,
): ReceivedEvent {
  if (stored?.roomKey !== roomKey) return it;
  return { ...it, event: stored.pdu(rules), json: stored.json };
}

function isUnplaced({ status, anchor }: StoredEvent): boolean {
  return status === EventStatus.outlier || anchor === undefined;
}

/** Whether an event was checked when it was stored. An invitation from outside could not be. */
function isJudged({ anchor, type, stateKey, authKeys }: StoredEvent): boolean {
  if (anchor !== undefined || type === "m.room.create") return true;
  return stateKey === undefined || authKeys.length > 0;
}

type AuthEvents = readonly { event: Pdu; rejected: boolean; ref: EntryRef }[];

/** The events that an event names as its auth events; undefined if one is not known. */
function authEventsOf(
  { auth_events, room_id }: Pdu,
  known: ReadonlyMap<EventId, StoredEvent>,
  pending: ReadonlyMap<EventId, Assessed>,
): ((rules: Room["rules"]) => AuthEvents) | undefined {
  const isKnown = (id: EventId) => pending.has(id) || known.has(id);
  if (!auth_events.every(isKnown) || room_id === undefined) return undefined;
  return (rules) =>
    auth_events.flatMap((id) => {
      const own = pending.get(id);
      if (own) return [{ event: own.event, rejected: own.isRejected, ref: refOf(own) }];
      const stored = known.get(id);
      if (!stored) return [];
      const rejected = stored.status === EventStatus.rejected;
      return [{ event: stored.pdu(rules), rejected, ref: stored.eventKey }];
    });
}

function refOf({ outlier, event }: Assessed): EntryRef {
  return outlier?.eventKey ?? event.event_id;
}

async function assess(
  hs: Homeserver,
  reading: RoomReading,
  own: {
    readonly received: ReceivedEvent;
    readonly auth: (rules: Room["rules"]) => AuthEvents;
    readonly senderKey: number;
    readonly slot: number | undefined;
    readonly outlier: StoredEvent | undefined;
  },
  { known, options }: { known: ReadonlyMap<EventId, StoredEvent>; options: AssessOptions },
): Promise<Assessed> {
  const { rules } = reading.room;
  const { received, senderKey, slot, outlier } = own;
  const { event } = received;
  const authEvents = own.auth(rules);
  const { before, missing } = options.asOutliers
    ? { before: undefined, missing: [] }
    : await stateBefore(hs, reading, event, { known, states: options.states });
  const found = before && (await lookUpState(hs, reading, before, pairsFor(event, rules)));
  const cited = citedFor(options, authEvents);
  const standing = {
    authEvents,
    create: await createOf(hs, reading, found),
    before: found && withCitedMembers(found.lookup, cited),
  };
  // What was rejected by a state that lacked members is judged by one that has them.
  const wasRejected = !options.again && outlier?.status === EventStatus.rejected;
  const decision = judged(received, { ...standing, wasRejected }, rules);
  const isRejected = decision.outcome === "rejected";
  const ref = outlier?.eventKey ?? event.event_id;
  return {
    received,
    event,
    senderKey,
    outlier,
    slot,
    missing,
    decision,
    isRejected,
    authRefs: slot === undefined ? [] : authEvents.map((it) => it.ref),
    states: before && { before, after: isRejected ? before : withState(before, slot, ref) },
    ...whatItMeets(found, event, rules),
    ...(cited && { cited }),
  };
}

/** The auth events, if they have to stand for members that are not known. */
function citedFor(
  { lacksMembers, states }: AssessOptions,
  authEvents: AuthEvents,
): readonly Pdu[] | undefined {
  const isNeeded = lacksMembers ?? states.head?.isPartial;
  return isNeeded ? authEvents.map((it) => it.event) : undefined;
}

/** What an event finds in the state before it. */
function whatItMeets(found: FoundState | undefined, event: Pdu, rules: Room["rules"]) {
  return {
    replaces: found && replacedIn(found, event),
    levels: levelsIn(found?.lookup, rules),
  };
}

/** The state event that an event takes the place of. */
function replacedIn(found: FoundState, { type, state_key }: Pdu): EntryRef | undefined {
  return state_key === undefined ? undefined : found.refOf(type, state_key);
}

/** The state after an event: of one that is no state event, the same. */
function withState(before: DraftedState, slot: number | undefined, ref: EntryRef): DraftedState {
  return slot === undefined ? before : withEntry(before, slot, ref);
}

/** What of a state an event is checked against, and what it takes the place of. */
function pairsFor(event: Pdu, rules: Room["rules"]): StatePair[] {
  const pairs: StatePair[] = [["m.room.create", ""], ...authEventKeys(event, rules)];
  if (event.state_key !== undefined) pairs.push([event.type, event.state_key]);
  return pairs;
}

/** The decision on an event by its own history. */
function judged(
  { event, lacksAuthorisersSignature }: ReceivedEvent,
  {
    wasRejected,
    ...standing
  }: Pick<Standing, "authEvents" | "create" | "before"> & { readonly wasRejected: boolean },
  rules: Room["rules"],
): Decision {
  if (lacksAuthorisersSignature) return UNSIGNED;
  const decision = decide(
    event,
    { ...standing, current: undefined, refusedByPolicy: undefined },
    rules,
  );
  return wasRejected && decision.outcome !== "rejected" ? REJECTED_BEFORE : decision;
}

function levelsIn(lookup: StateLookup | undefined, rules: Room["rules"]): PowerLevels | undefined {
  const create = lookup?.("m.room.create", "");
  return create && readPowerLevels(lookup?.("m.room.power_levels", ""), create, rules);
}

/** @spec rooms/v12#authorisation-rules 5.2.1 */
const UNSIGNED: Decision = {
  outcome: "rejected",
  check: 4,
  reason: "not signed by the server of the user who authorised the join",
};

/** Of an event that had no place before; what it was rejected for then is not kept. */
const REJECTED_BEFORE: Decision = { outcome: "rejected", check: 4, reason: "rejected before" };

/** The room's create event, where events do not cite it. */
async function createOf(
  hs: Homeserver,
  { room, pending }: RoomReading,
  found: { lookup(type: string, stateKey: string): Pdu | undefined } | undefined,
): Promise<Pdu | undefined> {
  if (!room.rules.roomIdIsCreateEventId) return undefined;
  const id: EventId = `$${room.roomId.slice(1)}`;
  const inState = found?.lookup("m.room.create", "");
  if (inState?.event_id === id) return inState;
  const own = pending.get(id);
  if (own) return own.isRejected ? undefined : own.event;
  const stored = (await findEvents(hs, [id])).get(id);
  return stored?.status === EventStatus.rejected ? undefined : stored?.pdu(room.rules);
}

async function slotsOfEvents(
  hs: Homeserver,
  events: readonly ReceivedEvent[],
): Promise<Map<string, number>> {
  const pairs = new Map<string, StatePair>();
  for (const { event } of events) {
    if (event.state_key === undefined) continue;
    pairs.set(pairKey(event.type, event.state_key), [event.type, event.state_key]);
  }
  return await slotsOf(hs, [...pairs.values()]);
}

/** The keys of those who send events, and of those of whom they speak. */
async function usersOf(
  hs: Homeserver,
  events: readonly ReceivedEvent[],
): Promise<Map<UserId, number>> {
  const users = new Set<UserId>();
  for (const { event } of events) {
    users.add(event.sender);
    if (event.type === "m.room.member" && isUserId(event.state_key)) users.add(event.state_key);
  }
  return await userKeysOf(hs, users);
}
