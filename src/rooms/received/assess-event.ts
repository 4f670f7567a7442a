import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import type { StateLookup } from "#src/events/auth-rules/auth-state.ts";
import type { Pdu } from "#src/events/pdu.ts";
import { type PowerLevels, readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import type { StatePair } from "../state-slots.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import type { RoomReading } from "./auth-graph.ts";
import { type Decision, decide, type Standing } from "./decide.ts";
import { withEntry } from "./draft-maps.ts";
import type { DraftedState, EntryRef } from "./drafted-state.ts";
import { type FoundState, lookUpState } from "./look-up-state.ts";
import { withCitedMembers } from "./partial-lookup.ts";
import type { Assessed, ReceivedEvent } from "./received-event.ts";
import { type KnownStates, stateBefore } from "./state-before.ts";

/** How events are judged. */
export type AssessOptions = {
  readonly states: KnownStates;
  /** Whether events are wanted only because others name them: they get no place in the room. */
  readonly asOutliers?: boolean;
  /** Whether the states that are given lack members; if that is not said, they do if the room's own state does. */
  readonly lacksMembers?: boolean;
  /** Whether a given state is no reason to reject an event: then that waits until it is known what leads to it. */
  readonly doubtsGiven?: boolean;
  /** Whether they have their places already, and are judged again. */
  readonly again?: boolean;
};

/** The events that another names as its auth events. */
export type AuthEvents = readonly { event: Pdu; rejected: boolean; ref: EntryRef }[];

/** An event, and what is known of those that it names. */
export type Named = {
  readonly received: ReceivedEvent;
  readonly auth: (rules: Room["rules"]) => AuthEvents;
  readonly senderKey: number;
  readonly slot: number | undefined;
  readonly outlier: StoredEvent | undefined;
};

type Setting = {
  readonly known: ReadonlyMap<EventId, StoredEvent>;
  readonly options: AssessOptions;
};

/** Judges an event by its auth events, and by the state before it. */
export async function assessEvent(
  hs: Homeserver,
  reading: RoomReading,
  own: Named,
  { known, options }: Setting,
): Promise<Assessed> {
  const assessed = await judgedBy(hs, reading, own, { known, options });
  if (!options.doubtsGiven || !isByGiven(assessed, options.states)) return assessed;
  const without = { ...options, states: { ...options.states, given: NO_STATES } };
  return await judgedBy(hs, reading, own, { known, options: without });
}

const NO_STATES: KnownStates["given"] = new Map();

/** Whether an event is rejected for no other reason than the state before it that another server has given. */
function isByGiven({ event, decision, missing }: Assessed, { given }: KnownStates): boolean {
  const isByState = decision.outcome === "rejected" && decision.check === 5;
  return isByState && missing.length > 0 && given.has(event.event_id);
}

async function judgedBy(
  hs: Homeserver,
  reading: RoomReading,
  own: Named,
  { known, options }: Setting,
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
