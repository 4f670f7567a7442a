import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { RoomHead } from "../room-head.ts";
import { withNodes } from "../state-map/stored-nodes.ts";
import type { StatePair } from "../state-slots.ts";
import { EventStatus } from "../stored-event.ts";
import type { Assessed } from "./assess-events.ts";
import type { RoomReading } from "./auth-graph.ts";
import type { Decision } from "./decide.ts";
import {
  disputedEntries,
  type DraftedState,
  type EntryRef,
  isSameDraft,
  storedState,
} from "./drafted-state.ts";
import { lookUpState } from "./look-up-state.ts";
import { withCitedMembers } from "./partial-lookup.ts";
import { type Waiting, whatWaitsFor } from "./queries-received.ts";
import { resolveStates } from "./resolve-states.ts";

/** A forward extremity: an accepted event that no accepted event follows. */
export type Extremity = {
  readonly eventId: EventId;
  readonly ref: EntryRef;
  readonly after: DraftedState;
  readonly depth: number;
};

/** An event, and what it makes of the room. */
export type SettledEvent = {
  readonly assessed: Assessed;
  readonly decision: Decision;
  /** The room's current state once it is there, where forks make that differ from what it says itself. */
  readonly roomState: DraftedState | undefined;
  readonly ordinal: number;
};

/** What a room is once received events have been added to it. */
export type Settlement = {
  /** The head that this was worked out on. */
  readonly head: RoomHead;
  readonly events: readonly SettledEvent[];
  readonly current: DraftedState;
  readonly extremities: readonly Extremity[];
  readonly ordinal: number;
  /** What was waiting for these; undefined if that was not asked. */
  readonly waiting: Waiting | undefined;
  /** Whether the room's state comes with the events: this server was not in it. */
  readonly comesAnew?: true;
};

/** The most forward extremities that a room has: as many as an event may follow. The oldest give way. */
const MOST_EXTREMITIES = 20;

/**
 * Adds live events to a room as it is: checks them against its current state, and works out its new
 * forward extremities and what their states resolve to.
 *
 * @param reading where to read: in the lane, the lane.
 * @spec server-server-api#soft-failure
 */
export async function settleEvents(
  hs: Homeserver,
  reading: RoomReading,
  head: RoomHead,
  assessed: readonly Assessed[],
): Promise<Settlement> {
  const ids = assessed.filter((it) => it.states).map((it) => it.event.event_id);
  const waiting = await whatWaitsFor(reading.db, ids);
  let at: Settlement = { ...unchanged(head), waiting };
  const byId = new Map(assessed.map((it) => [it.event.event_id, it]));
  for (const it of assessed) {
    at = await withEvent(hs, reading, at, {
      it,
      byId,
      isFollowed: waiting.followed.has(it.event.event_id),
    });
  }
  return at;
}

/** Adds events of the past, of which nothing follows for the room as it is. */
export function settleHistory(
  head: RoomHead,
  assessed: readonly Assessed[],
  waiting?: Waiting,
): Settlement {
  return {
    ...unchanged(head),
    waiting,
    events: assessed.map((it) => ({
      assessed: it,
      decision: it.decision,
      roomState: undefined,
      ordinal: 0,
    })),
  };
}

/** A room that this server comes to by a join: its state is what came with that, and it has no other end. */
export function settleJoin(head: RoomHead, join: Assessed): Settlement {
  const { states, event, outlier, decision } = join;
  if (!states) throw new Error("a join came without the state before it");
  return {
    ...unchanged(head),
    events: [{ assessed: join, decision, roomState: states.after, ordinal: head.ordinal }],
    current: states.after,
    extremities: [
      {
        eventId: event.event_id,
        ref: outlier?.eventKey ?? event.event_id,
        after: states.after,
        depth: event.depth,
      },
    ],
    comesAnew: true,
  };
}

/**
 * A room whose members were not all known until now: the join by which this server came to it, and all that has
 * been added since, once more.
 */
export async function settleAgain(
  hs: Homeserver,
  reading: RoomReading,
  head: RoomHead,
  assessed: readonly Assessed[],
): Promise<Settlement> {
  const [join, ...others] = assessed;
  if (!join) throw new Error("a room that we have come to has no join");
  const { comesAnew: _, ...joined } = settleJoin(head, join);
  let at: Settlement = joined;
  const byId = new Map(assessed.map((it) => [it.event.event_id, it]));
  for (const it of others) {
    at = await withEvent(hs, reading, at, { it, byId, isFollowed: false });
  }
  return { ...at, ordinal: head.ordinal };
}

/** A room to which nothing has been added. */
function unchanged(head: RoomHead): Settlement {
  return {
    head,
    events: [],
    current: storedState(head.stateRoot),
    extremities: head.extremities.map((it) => ({
      eventId: it.eventId,
      ref: it.eventKey,
      after: storedState(it.stateAfter ?? 0),
      depth: it.depth,
    })),
    ordinal: head.ordinal,
    waiting: undefined,
  };
}

type Adding = {
  readonly it: Assessed;
  readonly byId: ReadonlyMap<EventId, Assessed>;
  /** Whether an accepted event follows it already. */
  readonly isFollowed: boolean;
};

async function withEvent(
  hs: Homeserver,
  reading: RoomReading,
  at: Settlement,
  { it, byId, isFollowed }: Adding,
): Promise<Settlement> {
  const decision = await decideNow(hs, reading, at, it);
  const { states } = it;
  if (decision.outcome !== "accepted" || !states) {
    const settled = { assessed: it, decision, roomState: undefined, ordinal: at.ordinal };
    return { ...at, events: [...at.events, settled] };
  }
  const before = await sameOr(hs, reading, states.before, at.current);
  const gone = await followedBy(hs, reading, it, { byId, settled: at.events });
  const left = at.extremities.filter((other) => !gone.has(other.eventId));
  const own: Extremity = {
    eventId: it.event.event_id,
    ref: it.outlier?.eventKey ?? it.event.event_id,
    after: states.after,
    depth: it.event.depth,
  };
  const extremities = isFollowed ? left : [...left, own].slice(-MOST_EXTREMITIES);
  const current = await currentOf(hs, reading, at, extremities);
  const ordinal = at.ordinal + (countsAsUnread(it.event) ? 1 : 0);
  const isAlone = before === at.current && isSameDraft(current, states.after);
  const settled = { assessed: it, decision, roomState: isAlone ? undefined : current, ordinal };
  return { ...at, events: [...at.events, settled], current, extremities, ordinal };
}

/** Check 6, which looks at the room as it is now, and what is known of check 7. */
async function decideNow(
  hs: Homeserver,
  reading: RoomReading,
  { current }: Settlement,
  { event, decision, states, received, cited }: Assessed,
): Promise<Decision> {
  if (decision.outcome !== "accepted" || !states) return decision;
  if (!isSameDraft(states.before, current)) {
    const { rules } = reading.room;
    const pairs: StatePair[] = [["m.room.create", ""], ...authEventKeys(event, rules)];
    const { lookup } = await lookUpState(hs, reading, current, pairs);
    const verdict = checkAuthRules(event, withCitedMembers(lookup, cited), rules);
    if (!verdict.allowed) return { outcome: "soft-failed", check: 6, reason: verdict.reason };
  }
  const { refusedByPolicy } = received;
  if (refusedByPolicy === undefined) return decision;
  return { outcome: "soft-failed", check: 7, reason: refusedByPolicy };
}

/** The room's state, if it is the same as another though it came about otherwise; else that other. */
async function sameOr(
  hs: Homeserver,
  { db }: RoomReading,
  state: DraftedState,
  current: DraftedState,
): Promise<DraftedState> {
  if (isSameDraft(state, current)) return current;
  const differing = await withNodes(hs, db, (source) => disputedEntries([state, current], source));
  return differing.size === 0 ? current : state;
}

/** How many events in a row that are no part of what is built upon are looked through. */
const MOST_HOPS = 50;

/** The events that an event follows: directly, or by way of such as are no part of what is built upon. */
async function followedBy(
  hs: Homeserver,
  { db }: RoomReading,
  { event }: Assessed,
  { byId, settled }: { byId: ReadonlyMap<EventId, Assessed>; settled: readonly SettledEvent[] },
): Promise<ReadonlySet<EventId>> {
  const isPassed = (id: EventId) =>
    settled.some((it) => it.assessed.event.event_id === id && it.decision.outcome !== "accepted");
  const followed = new Set<EventId>();
  let next = [...event.prev_events];
  for (let hops = 0; next.length > 0 && hops < MOST_HOPS; hops++) {
    const ids = next.filter((id) => !followed.has(id));
    for (const id of ids) followed.add(id);
    const stored = await findEvents(
      hs,
      ids.filter((id) => !byId.has(id)),
      db,
    );
    next = ids.flatMap((id) => {
      const pending = byId.get(id);
      if (pending) return isPassed(id) ? [...pending.event.prev_events] : [];
      const it = stored.get(id);
      const isPart = !it || it.status === EventStatus.accepted || it.stateAfter === undefined;
      return isPart ? [] : prevEventsOf(it.wire["prev_events"]);
    });
  }
  return followed;
}

/** The IDs that an event follows, as its room version names them. */
function prevEventsOf(references: unknown): EventId[] {
  if (!Array.isArray(references)) return [];
  return (references as unknown[]).flatMap((it) => {
    const id: unknown = Array.isArray(it) ? it[0] : it;
    return typeof id === "string" ? [id as EventId] : [];
  });
}

/** What the states after the extremities resolve to. */
async function currentOf(
  hs: Homeserver,
  reading: RoomReading,
  at: Settlement,
  extremities: readonly Extremity[],
): Promise<DraftedState> {
  const [only] = extremities;
  // Where nothing but messages came, the same states meet as before.
  const isAsBefore =
    extremities.length === at.extremities.length &&
    extremities.every((it) => at.extremities.some((other) => isSameDraft(it.after, other.after))) &&
    at.extremities.every((it) => extremities.some((other) => isSameDraft(it.after, other.after)));
  if (isAsBefore) return at.current;
  if (extremities.length === 1 && only) return only.after;
  const resolved = await resolveStates(
    hs,
    reading,
    extremities.map((it) => it.after),
  );
  return await sameOr(hs, reading, resolved, at.current);
}
