import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { EMPTY } from "../state-map/node.ts";
import { withNodes } from "../state-map/stored-nodes.ts";
import { findSlots, pairKey, type StatePair } from "../state-slots.ts";
import type { RoomReading } from "./auth-graph.ts";
import type { Decision } from "./decide.ts";
import { type DraftedState, entryOf, isSameDraft } from "./drafted-state.ts";
import { type Adding, extremitiesWith } from "./extremities-with.ts";
import { lookUpState } from "./look-up-state.ts";
import { withCitedMembers } from "./partial-lookup.ts";
import type { Assessed } from "./received-event.ts";
import { resolveStates, sameOr } from "./resolve-states.ts";
import type { Extremity, Settlement } from "./settlement.ts";

/**
 * A settlement that is being made. What forks resolve to is worked out when somebody has to know it: where many events
 * add to a fork, once in the end and not after each.
 */
export type Settling = {
  readonly made: Settlement;
  /** Whether `made.current` is what the extremities resolve to. */
  readonly isResolved: boolean;
};

export function begin(made: Settlement): Settling {
  return { made, isResolved: true };
}

/** Stands for the room's state after an event, as long as that is not worked out. */
const OPEN: DraftedState = { base: EMPTY, changes: new Map() };

/** What was made, with what the extremities resolve to. */
export async function resolved(
  hs: Homeserver,
  reading: RoomReading,
  { made, isResolved }: Settling,
): Promise<Settlement> {
  const states = made.extremities.map((it) => it.after);
  const current = isResolved
    ? made.current
    : await sameOr(hs, reading, await resolveStates(hs, reading, states), made.current);
  const events = made.events.map((it) =>
    it.roomState === OPEN ? { ...it, roomState: current } : it,
  );
  return { ...made, current, events };
}

/** Adds one live event to a room: checks it against the room's current state, and finds the new extremities. */
export async function addEvent(
  hs: Homeserver,
  reading: RoomReading,
  before: Settling,
  { it, byId, followers }: Adding,
): Promise<Settling> {
  const { decision, at } = await decideNow(hs, reading, before, it);
  const { made } = at;
  const { states } = it;
  if (decision.outcome !== "accepted" || !states) {
    const settled = { assessed: it, decision, roomState: undefined, ordinal: made.ordinal };
    return { ...at, made: { ...made, events: [...made.events, settled] } };
  }
  const extremities = await extremitiesWith(hs, reading, made, { it, byId, followers });
  const current = currentOf(at, extremities);
  const isAlone =
    at.isResolved &&
    current !== undefined &&
    isSameDraft(current, states.after) &&
    (await sameOr(hs, reading, states.before, made.current)) === made.current;
  const ordinal = made.ordinal + (countsAsUnread(it.event) ? 1 : 0);
  const roomState = isAlone ? undefined : (current ?? OPEN);
  return {
    made: {
      ...made,
      events: [...made.events, { assessed: it, decision, roomState, ordinal }],
      current: current ?? made.current,
      extremities,
      ordinal,
    },
    isResolved: current !== undefined,
  };
}

/** Check 6, which looks at the room as it is now, and what is known of check 7. */
async function decideNow(
  hs: Homeserver,
  reading: RoomReading,
  before: Settling,
  it: Assessed,
): Promise<{ decision: Decision; at: Settling }> {
  const { event, decision, states, received, cited } = it;
  if (decision.outcome !== "accepted" || !states) return { decision, at: before };
  const { rules } = reading.room;
  const pairs: StatePair[] = [["m.room.create", ""], ...authEventKeys(event, rules)];
  // By what all forks agree on, it has been allowed by check 5.
  const isAllowed = !before.isResolved && (await agreeOn(hs, reading, before, { it, pairs }));
  const at = before.isResolved || isAllowed ? before : begin(await resolved(hs, reading, before));
  if (!isAllowed && !isSameDraft(states.before, at.made.current)) {
    const { lookup } = await lookUpState(hs, reading, at.made.current, pairs);
    const verdict = checkAuthRules(event, withCitedMembers(lookup, cited), rules);
    if (!verdict.allowed) {
      return { decision: { outcome: "soft-failed", check: 6, reason: verdict.reason }, at };
    }
  }
  const { refusedByPolicy } = received;
  if (refusedByPolicy === undefined) return { decision, at };
  return { decision: { outcome: "soft-failed", check: 7, reason: refusedByPolicy }, at };
}

/**
 * Whether the forks, and the state before an event, have the same event for all of some pairs: then so has what they
 * resolve to.
 */
async function agreeOn(
  hs: Homeserver,
  { db }: RoomReading,
  { made }: Settling,
  { it, pairs }: { it: Assessed; pairs: readonly StatePair[] },
): Promise<boolean> {
  const { states } = it;
  if (!states) return false;
  const slots = await findSlots(hs, pairs, db);
  const all = made.extremities.map(({ after }) => after);
  return await withNodes(hs, db, (source) =>
    pairs.every((pair) => {
      const slot = slots.get(pairKey(...pair));
      const entry = slot === undefined ? undefined : entryOf(states.before, slot, source);
      // For what no state has, resolution may still bring something back.
      if (slot === undefined || entry === undefined) return false;
      return all.every((state) => entryOf(state, slot, source) === entry);
    }),
  );
}

/** The state after new extremities, where that can be said without resolving anything. */
function currentOf(
  { made, isResolved }: Settling,
  extremities: readonly Extremity[],
): DraftedState | undefined {
  const [only] = extremities;
  // Where nothing but messages came, the same states meet as before.
  const before = made.extremities;
  const isAsBefore =
    extremities.length === before.length &&
    extremities.every((it) => before.some((other) => isSameDraft(it.after, other.after))) &&
    before.every((it) => extremities.some((other) => isSameDraft(it.after, other.after)));
  if (isAsBefore) return isResolved ? made.current : undefined;
  return extremities.length === 1 ? only?.after : undefined;
}
