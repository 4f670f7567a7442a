import { hash } from "node:crypto";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Steps } from "#src/kit/steps.ts";
import { type Pdu, splitStateKey, type StateKey, stateKeyOf } from "../pdu.ts";
import type { Conflict } from "./conflict.ts";
import type { Authorise } from "./iterative-auth-checks.ts";
import { PartialState } from "./partial-state.ts";

/** The types whose conflicts are resolved first, in this order, since they decide about others. */
const AUTH_TYPES = ["m.room.power_levels", "m.room.join_rules", "m.room.member"];

/** A key in conflict, and its events by ascending depth and descending SHA-1. */
type Dispute = { readonly type: string; readonly stateKey: string; readonly events: Pdu[] };

/**
 * State resolution of room version 1.
 *
 * @returns what `resolveConflicts` does.
 * @spec rooms/v1#state-resolution
 */
export function* resolveV1(
  { conflicted, unconflicted, graph }: Conflict,
  authorise: Authorise,
): Steps<Map<StateKey, EventId>> {
  // R: the union of the states, excluding conflicting events.
  const state = new PartialState((type, stateKey) => {
    const id = unconflicted(stateKeyOf(type, stateKey));
    return id === undefined ? undefined : graph.events.get(id);
  });

  const disputes: Dispute[] = [];
  for (const [key, ids] of conflicted) {
    const [type, stateKey] = splitStateKey(key);
    const events = [...ids].flatMap((id) => graph.events.get(id) ?? []);
    const [only] = events;
    // Some sets lack it and the others agree: in this version not a conflict.
    if (events.length === 1 && only) state.apply(only, stateKey);
    else if (only) disputes.push({ type, stateKey, events: byDepth(events) });
  }
  yield;

  // Those of one type do not see each other's results: there is no order among them.
  for (const type of AUTH_TYPES) {
    const ofType = disputes.filter((dispute) => dispute.type === type);
    const chosen = ofType.map((dispute) => lastOfAllowedRun(dispute, state, authorise));
    for (const [index, { stateKey }] of ofType.entries()) {
      const event = chosen[index];
      if (event) state.apply(event, stateKey);
    }
    yield;
  }

  const others = disputes.filter((dispute) => !AUTH_TYPES.includes(dispute.type));
  const chosen = others.map((dispute) => deepestAllowed(dispute, state, authorise));
  for (const [index, { stateKey }] of others.entries()) {
    const event = chosen[index];
    if (event) state.apply(event, stateKey);
  }

  const resolved = new Map<StateKey, EventId>();
  for (const { type, stateKey, event } of state.applied()) {
    resolved.set(stateKeyOf(type, stateKey), event.event_id);
  }
  return resolved;
}

/** Adds events one after the other, from the shallowest on, until one is not allowed. */
function lastOfAllowedRun(
  { type, stateKey, events }: Dispute,
  state: PartialState,
  authorise: Authorise,
): Pdu | undefined {
  let [last] = events;
  for (const event of events.slice(1)) {
    const held = last;
    const lookup = (askedType: string, askedKey: string): Pdu | undefined =>
      askedType === type && askedKey === stateKey ? held : state.get(askedType, askedKey);
    if (!authorise(event, lookup)) break;
    last = event;
  }
  return last;
}

/**
 * The event with the highest depth and lowest SHA-1 that is allowed. If none is, the last one tried:
 * the specification does not say, and it is what servers do (decision 0008, 4).
 */
function deepestAllowed(
  { events }: Dispute,
  state: PartialState,
  authorise: Authorise,
): Pdu | undefined {
  const lookup = (type: string, stateKey: string): Pdu | undefined => state.get(type, stateKey);
  return events.findLast((event) => authorise(event, lookup)) ?? events[0];
}

/** Sorts by ascending depth, then descending SHA-1 of the event ID. */
function byDepth(events: readonly Pdu[]): Pdu[] {
  return events
    .map((event) => ({ event, sha1: hash("sha1", event.event_id, "hex") }))
    .sort((x, y) => x.event.depth - y.event.depth || (x.sha1 < y.sha1 ? 1 : -1))
    .map(({ event }) => event);
}
