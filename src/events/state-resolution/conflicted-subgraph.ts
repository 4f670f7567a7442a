import type { EventId } from "#src/kit/identifiers.ts";
import type { Steps } from "#src/kit/steps.ts";
import type { RoomGraph } from "../pdu.ts";

/** How many events a step of the walk visits. */
const STEP = 256;

/**
 * Everything on an `auth_events` path between two conflicted events, the ends included: what can be
 * reached from one of them, and can itself reach one. Since room version 12.
 *
 * @returns at least the conflicted events themselves.
 * @spec rooms/v12#definitions "Conflicted state subgraph"
 */
export function* conflictedSubgraph(
  conflicted: Iterable<EventId>,
  { events }: Pick<RoomGraph, "events">,
): Steps<Set<EventId>> {
  const reachesOne = new Set(conflicted);
  const citedBy = yield* linksBelow(reachesOne, events);

  // Back up from the conflicted events: whoever cites one, directly or not, reaches one.
  const pending = [...reachesOne];
  let visited = 0;
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    for (const citing of citedBy.get(id) ?? []) {
      if (reachesOne.has(citing)) continue;
      reachesOne.add(citing);
      pending.push(citing);
    }
    if (++visited % STEP === 0) yield;
  }
  return reachesOne;
}

/** The `auth_events` links among some events and all below them, turned round. */
function* linksBelow(
  ids: ReadonlySet<EventId>,
  events: RoomGraph["events"],
): Steps<Map<EventId, EventId[]>> {
  const citedBy = new Map<EventId, EventId[]>();
  const pending = [...ids];
  let visited = 0;
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    for (const parent of events.get(id)?.auth_events ?? []) {
      const citing = citedBy.get(parent);
      if (citing) {
        citing.push(id);
        continue;
      }
      citedBy.set(parent, [id]);
      if (!ids.has(parent)) pending.push(parent);
    }
    if (++visited % STEP === 0) yield;
  }
  return citedBy;
}
