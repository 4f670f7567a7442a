import type { EventId } from "#src/kit/identifiers.ts";
import { runSteps, type Steps } from "#src/kit/steps.ts";
import type { RoomGraph } from "../pdu.ts";

/** What the auth difference is made from. */
export type AuthDifferenceInput = {
  /** For each state set, its own events for the keys in conflict. */
  readonly forks: readonly Iterable<EventId>[];
  /**
   * Unconflicted events that may have one of `candidates` in their auth chains. All unconflicted
   * events are a right answer, and the dearest. A caller who numbers events so that an event's number
   * is above those of its auth events needs to give only those above the lowest candidate. (Not by
   * `depth`, which is whatever the sender said.)
   */
  readonly shared: (candidates: ReadonlySet<EventId>) => Iterable<EventId>;
  readonly graph: Pick<RoomGraph, "events">;
};

/** How many events a step of the walk visits. */
const STEP = 256;

/**
 * The events that are in some set's full auth chain, but not in every one's: ∪Cᵢ − ∩Cᵢ.
 *
 * The state sets of a fork share nearly everything, so their chains are not built. With U for the
 * unconflicted events, Dᵢ for the conflicted ones of a set, and c(…) for events with their auth
 * chains, Cᵢ = c(U) ∪ c(Dᵢ), and so the difference is (∪c(Dᵢ) − ∩c(Dᵢ)) − c(U). Only the c(Dᵢ) are
 * walked, once for all sets together; then c(U), as far as it can still take something away.
 *
 * A set's own events count as part of its chain, as in every implementation. They matter to the
 * difference only if unconflicted, or if in another set's chain (decision 0008, 1).
 *
 * @spec rooms/v12#definitions "Auth difference"
 */
export function authDifference(input: AuthDifferenceInput): Set<EventId> {
  return runSteps(authDifferenceSteps(input));
}

/** `authDifference`, a step at a time. */
export function* authDifferenceSteps({
  forks,
  shared,
  graph,
}: AuthDifferenceInput): Steps<Set<EventId>> {
  const candidates = yield* unsharedAmong(forks, graph);
  if (candidates.size === 0) return candidates;

  // An event need not be visited twice, nor need anything be visited once no candidate is left.
  const seen = new Set<EventId>();
  const pending: EventId[] = [];
  let visited = 0;
  for (const start of shared(candidates)) {
    pending.push(start);
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      if (candidates.delete(id) && candidates.size === 0) return candidates;
      for (const parent of graph.events.get(id)?.auth_events ?? []) pending.push(parent);
      if (++visited % STEP === 0) yield;
    }
  }
  return candidates;
}

/** The events reachable from some of these forks, but not from all. */
function* unsharedAmong(
  forks: readonly Iterable<EventId>[],
  { events }: Pick<RoomGraph, "events">,
): Steps<Set<EventId>> {
  // For each event, how many forks reach it, and which was the last to. Each fork is walked by itself.
  const reachedBy = new Map<EventId, { count: number; last: number }>();
  let visited = 0;
  for (const [fork, ids] of forks.entries()) {
    const pending = [...ids];
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      const reached = reachedBy.get(id);
      if (reached?.last === fork) continue;
      if (reached) {
        reached.count += 1;
        reached.last = fork;
      } else {
        reachedBy.set(id, { count: 1, last: fork });
      }
      for (const parent of events.get(id)?.auth_events ?? []) pending.push(parent);
      if (++visited % STEP === 0) yield;
    }
  }

  const unshared = new Set<EventId>();
  for (const [id, { count }] of reachedBy) if (count < forks.length) unshared.add(id);
  return unshared;
}
