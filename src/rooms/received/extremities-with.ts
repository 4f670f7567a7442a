import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findPlaced, placedEventsOf } from "../find-event.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import type { RoomReading } from "./auth-graph.ts";
import { type DraftedState, storedState } from "./drafted-state.ts";
import { limitExtremities } from "./limit-extremities.ts";
import type { Assessed } from "./received-event.ts";
import { resolveStates, sameOr } from "./resolve-states.ts";
import type { Extremity, SettledEvent, Settlement } from "./settlement.ts";

/** An event that is added to a room. */
export type Adding = {
  readonly it: Assessed;
  readonly byId: ReadonlyMap<EventId, Assessed>;
  /** The keys of the accepted events that follow it already, if any do. */
  readonly followers?: readonly number[] | undefined;
};

/**
 * The forward extremities once an accepted event is there.
 *
 * What follows it already has come without it, by a state before it that somebody gave. Should that leave out what this event leads
 * to, this stands for itself: else whoever is quicker than what they follow could have the room be what they say.
 */
export async function extremitiesWith(
  hs: Homeserver,
  reading: RoomReading,
  made: Settlement,
  { it, byId, followers = [] }: Adding,
): Promise<readonly Extremity[]> {
  const gone = await followedBy(hs, reading, it, { byId, settled: made.events });
  const left = made.extremities.filter((other) => !gone.has(other.eventId));
  if (!it.states) return left;
  const own: Extremity = {
    eventId: it.event.event_id,
    ref: it.outlier?.eventKey ?? it.event.event_id,
    after: it.states.after,
    depth: it.event.depth,
  };
  if (followers.length > 0) {
    const { isLeftOut, covered } = await lookAtFollowers(hs, reading, it, { byId, followers });
    const uncovered = left.filter((other) => !covered.has(other.eventId));
    // Should what follows it have given way, this has to stand for it: a room without an end has no state.
    if (!isLeftOut && uncovered.length > 0) return uncovered;
  }
  return await limitExtremities(hs, reading, [...left, own]);
}

/** How many of the events are looked at that follow one. */
const MOST_FOLLOWERS = 20;

type Looked = {
  /** Whether a state that was given leaves out what the event says. */
  readonly isLeftOut: boolean;
  /** The events that are followed by such of which it is known by now that the state before them is what leads to it. */
  readonly covered: ReadonlySet<EventId>;
};

/**
 * Looks whether the states before what follows an event have what that says: as it was then, and not as the room is now.
 * Whatever is old is another state than the room's, and resolved with that it may take from it who has come since.
 */
async function lookAtFollowers(
  hs: Homeserver,
  reading: RoomReading,
  { event, states }: Assessed,
  { byId, followers }: { byId: ReadonlyMap<EventId, Assessed>; followers: readonly number[] },
): Promise<Looked> {
  const covered = new Set<EventId>();
  if (!states || followers.length > MOST_FOLLOWERS) return { isLeftOut: true, covered };
  const stored = await placedEventsOf(hs, followers, reading.db);
  const prevEventsOf = (it: StoredEvent) => it.pdu(reading.room.rules).prev_events;
  const ids = [...stored.values()].flatMap(prevEventsOf).filter((id) => !byId.has(id));
  const known = await findPlaced(hs, ids, reading.db);
  const stateAfter = (id: EventId): DraftedState | undefined => {
    if (id === event.event_id) return states.after;
    const pending = byId.get(id);
    if (pending) return pending.states?.after;
    const after = known.get(id)?.stateAfter;
    return after === undefined ? undefined : storedState(after);
  };
  let isLeftOut = false;
  for (const follower of stored.values()) {
    const prevEvents = prevEventsOf(follower);
    const given = storedState(follower.stateBefore ?? 0);
    const leading = prevEvents.map(stateAfter).filter((it) => it !== undefined);
    const isWhole = leading.length === prevEvents.length;
    if (isWhole && (await comesTo(hs, reading, leading, given))) {
      for (const id of prevEvents) covered.add(id);
    } else if (!(await comesTo(hs, reading, [given, states.after], given))) {
      isLeftOut = true;
    }
  }
  return { isLeftOut, covered };
}

/** Whether states resolve to a certain one. */
async function comesTo(
  hs: Homeserver,
  reading: RoomReading,
  states: readonly DraftedState[],
  expected: DraftedState,
): Promise<boolean> {
  const resolved = await resolveStates(hs, reading, states);
  return (await sameOr(hs, reading, resolved, expected)) === expected;
}

/** How many events in a row that are no part of what is built upon are looked through. */
const MOST_HOPS = 50;

/** The events that an event follows: directly, or by way of such as are no part of what is built upon. */
async function followedBy(
  hs: Homeserver,
  { db, room }: RoomReading,
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
    const stored = await findPlaced(
      hs,
      ids.filter((id) => !byId.has(id)),
      db,
    );
    next = ids.flatMap((id) => {
      const pending = byId.get(id);
      if (pending) return isPassed(id) ? [...pending.event.prev_events] : [];
      const it = stored.get(id);
      const isPart = !it || PART.has(it.status) || it.stateAfter === undefined;
      return isPart ? [] : [...it.pdu(room.rules).prev_events];
    });
  }
  return followed;
}

const PART: ReadonlySet<number> = new Set([EventStatus.accepted, EventStatus.untold]);
