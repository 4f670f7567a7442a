import type { EventId } from "#src/kit/identifiers.ts";
import type { Steps } from "#src/kit/steps.ts";
import { type Pdu, type RoomGraph, type StateKey, stateKeyOf } from "../pdu.ts";
import type { Conflict } from "./conflict.ts";
import { conflictedSubgraph } from "./conflicted-subgraph.ts";
import { type Authorise, iterativeAuthChecks } from "./iterative-auth-checks.ts";
import { mainlineOrdering } from "./mainline-ordering.ts";
import { PartialState } from "./partial-state.ts";
import { powerOrdering, type SenderPower } from "./power-ordering.ts";

/** What the algorithm needs of the room's version. */
export type ResolutionRules = {
  /** Version 2.1: empty start of the checks, conflicted state subgraph. */
  readonly v21: boolean;
  readonly authorise: Authorise;
  readonly powerOf: SenderPower;
};

/**
 * State resolution versions 2 and 2.1.
 *
 * @returns what `resolveConflicts` does.
 * @spec rooms/v2#algorithm
 * @spec rooms/v12#algorithm
 */
export function* resolveV2(
  { conflicted, unconflicted, authDifference, graph }: Conflict,
  { v21, authorise, powerOf }: ResolutionRules,
): Steps<Map<StateKey, EventId>> {
  // The full conflicted set. (Since v2.1, with the conflicted state subgraph.)
  const full = new Set<EventId>(authDifference);
  for (const ids of conflicted.values()) for (const id of ids) full.add(id);
  if (v21) {
    const conflictedIds = [...conflicted.values()].flatMap((ids) => [...ids]);
    for (const id of yield* conflictedSubgraph(conflictedIds, graph)) full.add(id);
  }

  // 1. Take all power events in the full conflicted set, with those in their auth chains that are
  //    in it too, by the reverse topological power ordering.
  const powerAndAuth = powerEventsWithin(full, graph);
  const sortedPower = yield* powerOrdering(powerAndAuth, graph, powerOf);

  // 2. Apply the iterative auth checks to them, starting from the unconflicted state map. (Since
  //    v2.1, starting from an empty one.)
  const base = (type: string, stateKey: string): Pdu | undefined => {
    const id = unconflicted(stateKeyOf(type, stateKey));
    return id === undefined ? undefined : graph.events.get(id);
  };
  const state = new PartialState(v21 ? () => undefined : base);
  yield* iterativeAuthChecks(state, sortedPower, graph, authorise);

  // 3. Order the rest by the mainline of the power levels event in the partially resolved state.
  for (const id of powerAndAuth) full.delete(id);
  const powerLevels = state.get("m.room.power_levels", "");
  const sortedRest = yield* mainlineOrdering(full, powerLevels, graph);

  // 4. Apply the iterative auth checks to those, starting from the partially resolved state.
  yield* iterativeAuthChecks(state, sortedRest, graph, authorise);

  // 5. Let the unconflicted state map have the last word.
  const resolved = new Map<StateKey, EventId>();
  for (const { type, stateKey, event } of state.applied()) {
    const key = stateKeyOf(type, stateKey);
    if (conflicted.has(key) || unconflicted(key) === undefined) resolved.set(key, event.event_id);
  }
  return resolved;
}

/**
 * The power events among these, with those in their auth chains that are among these too.
 *
 * The chains are followed through these events alone. Where a path leaves the full conflicted set it
 * does not come back, but for a conflicted event that is in every set's auth chain (decision 0008, 2).
 */
function powerEventsWithin(
  full: ReadonlySet<EventId>,
  graph: Pick<RoomGraph, "events">,
): Set<EventId> {
  const taken = new Set<EventId>();
  const pending: EventId[] = [];
  for (const id of full) if (isPowerEvent(graph.events.get(id))) pending.push(id);
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (taken.has(id)) continue;
    taken.add(id);
    for (const cited of graph.events.get(id)?.auth_events ?? []) {
      if (full.has(cited)) pending.push(cited);
    }
  }
  return taken;
}

/**
 * A state event that might take away someone's ability to do something in the room.
 *
 * @spec rooms/v12#definitions "Power events"
 */
function isPowerEvent(event: Pdu | undefined): boolean {
  if (event?.state_key === undefined) return false;
  if (event.type === "m.room.power_levels" || event.type === "m.room.join_rules") {
    // With another state key they are not the room's, and take nothing away (decision 0008, 3).
    return event.state_key === "";
  }
  const membership = event.content["membership"];
  return (
    event.type === "m.room.member" &&
    (membership === "leave" || membership === "ban") &&
    event.sender !== event.state_key
  );
}
