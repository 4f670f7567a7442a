import type { EventId } from "#src/kit/identifiers.ts";
import { EMPTY, type NodeKey, type NodeRef } from "../state-map/node.ts";
import {
  deleteSlot,
  differences,
  getSlot,
  mapOf,
  type NodeSource,
  setSlot,
} from "../state-map/state-map.ts";

/** An event of a state: by its key, or by its ID if it is about to be stored and has no key yet. */
export type EntryRef = number | EventId;

/**
 * A state that may not be stored yet: what it has other than a stored one. It can be worked out before
 * its events have keys, which only the lane gives.
 */
export type DraftedState = {
  readonly base: NodeKey;
  /** By slot; undefined where the state has no event though the base has one. */
  readonly changes: ReadonlyMap<number, EntryRef | undefined>;
};

const NO_CHANGES: DraftedState["changes"] = new Map();

export const EMPTY_STATE: DraftedState = { base: EMPTY, changes: NO_CHANGES };

export function storedState(base: NodeKey): DraftedState {
  return base === EMPTY ? EMPTY_STATE : { base, changes: NO_CHANGES };
}

export function isStored({ changes }: DraftedState): boolean {
  return changes.size === 0;
}

/** Whether two states are the same, as far as can be seen without looking into them. */
export function isSameDraft(one: DraftedState, other: DraftedState): boolean {
  return one === other || (one.base === other.base && isStored(one) && isStored(other));
}

export function entryOf(
  { base, changes }: DraftedState,
  slot: number,
  source: NodeSource,
): EntryRef | undefined {
  return changes.has(slot) ? changes.get(slot) : getSlot(base, slot, source);
}

/**
 * The slots for which states do not all have the same event, each with what every state has for it.
 * What they share is not looked at.
 */
export function disputedEntries(
  states: readonly DraftedState[],
  source: NodeSource,
): Map<number, readonly (EntryRef | undefined)[]> {
  const [first, ...others] = states;
  if (!first) return new Map();
  const slots = new Set<number>();
  for (const other of others) {
    for (const { slot } of differences(first.base, other.base, source)) slots.add(slot);
  }
  for (const { changes } of states) for (const slot of changes.keys()) slots.add(slot);

  const disputed = new Map<number, readonly (EntryRef | undefined)[]>();
  for (const slot of slots) {
    const entries = states.map((it) => entryOf(it, slot, source));
    if (entries.some((it) => it !== entries[0])) disputed.set(slot, entries);
  }
  return disputed;
}

/**
 * The state as a map.
 *
 * @param keyOf the key of an event that had none when the state was drafted.
 */
export function mapOfDraft(
  { base, changes }: DraftedState,
  keyOf: (eventId: EventId) => number,
  source: NodeSource,
): NodeRef {
  const keys = [...changes].map(
    ([slot, event]) => [slot, typeof event === "string" ? keyOf(event) : event] as const,
  );
  if (base === EMPTY) {
    return mapOf(keys.flatMap(([slot, key]) => (key === undefined ? [] : [[slot, key] as const])));
  }
  return keys.reduce<NodeRef>(
    (map, [slot, key]) =>
      key === undefined ? deleteSlot(map, slot, source) : setSlot(map, slot, key, source),
    base,
  );
}

/** The most nodes that storing a state can take. */
export function mostNodesOf({ base, changes }: DraftedState): number {
  // A map that is made whole has fewer nodes than entries, but for the smallest; a change to one that is
  // there makes the nodes on its way anew.
  const { size } = changes;
  return base === EMPTY ? size + 8 : size * 9;
}
