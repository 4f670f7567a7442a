import type { Pdu } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { RoomHead } from "../room-head.ts";
import type { StoredEvent } from "../stored-event.ts";
import type { RoomReading } from "./auth-graph.ts";
import { type DraftedState, EMPTY_STATE, storedState } from "./drafted-state.ts";
import { resolveStates } from "./resolve-states.ts";

/** States that are known without working them out. */
export type KnownStates = {
  /** The room's head: what its extremities resolve to. */
  readonly head: RoomHead | undefined;
  /** States before events, as another server gave them. They count where the `prev_events` are not all known. */
  readonly given: ReadonlyMap<EventId, DraftedState>;
  /** Whether they are all that counts in any case: of a room that we come to. */
  readonly givenOverrules?: true;
};

/**
 * The state before an event: what the states after its `prev_events` resolve to. A state that another server gives stands for
 * those that are not known, and takes nothing from what the others lead to: else whoever sends an event could have the room be
 * what they say, by naming one more that nobody has.
 *
 * @returns no state if one of those events is not known and nobody has given the state; and which are
 *   not known, in any case.
 * @spec server-server-api#room-state-resolution
 */
export async function stateBefore(
  hs: Homeserver,
  reading: RoomReading,
  { event_id, prev_events }: Pdu,
  {
    known,
    states: { head, given, givenOverrules },
  }: { known: ReadonlyMap<EventId, StoredEvent>; states: KnownStates },
): Promise<{ before: DraftedState | undefined; missing: readonly EventId[] }> {
  const ids = [...new Set(prev_events)];
  const states = ids.map((id) => stateAfter(reading, known, id));
  const missing = ids.filter((_, index) => states[index] === undefined);
  const own = given.get(event_id);
  if (own && givenOverrules) return { before: own, missing };
  const after = states.filter((it) => it !== undefined);
  if (missing.length > 0) {
    return { before: own && (await resolveStates(hs, reading, [own, ...after])), missing };
  }
  if (ids.length === 0) return { before: EMPTY_STATE, missing };
  if (head && followsAll(head, prev_events)) {
    return { before: storedState(head.stateRoot), missing };
  }
  return { before: await resolveStates(hs, reading, after), missing };
}

/** The state after an event of the room that has a place in it. */
function stateAfter(
  { room, pending }: RoomReading,
  known: ReadonlyMap<EventId, StoredEvent>,
  id: EventId,
): DraftedState | undefined {
  const own = pending.get(id);
  if (own) return own.states?.after;
  const stored = known.get(id);
  if (stored?.roomKey !== room.roomKey || stored.stateAfter === undefined) return undefined;
  return storedState(stored.stateAfter);
}

/** Whether events are a room's forward extremities: then what they resolve to is its current state. */
function followsAll({ extremities }: RoomHead, prevEvents: readonly EventId[]): boolean {
  return (
    extremities.length === new Set(prevEvents).size &&
    extremities.every((it) => prevEvents.includes(it.eventId))
  );
}
