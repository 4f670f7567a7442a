import type { EventId } from "#src/kit/identifiers.ts";
import type { NodeRef } from "../state-map/node.ts";
import { type NodeSource, setSlot } from "../state-map/state-map.ts";
import { type DraftedState, type EntryRef, mapOfDraft } from "./drafted-state.ts";

/** From what other draft one was made, by adding one event. */
type Origin = { readonly from: DraftedState; readonly slot: number; readonly event: EntryRef };

const origins = new WeakMap<DraftedState, Origin>();

/** A state with one more event, or another in one's place. */
export function withEntry(from: DraftedState, slot: number, event: EntryRef): DraftedState {
  const made = { base: from.base, changes: new Map(from.changes).set(slot, event) };
  origins.set(made, { from, slot, event });
  return made;
}

/**
 * Drafts as maps, now that their events have keys. One that was made from another shares with it what
 * they have in common.
 */
export function mapsOfDrafts(
  drafts: Iterable<DraftedState>,
  keyOf: (eventId: EventId) => number,
  source: NodeSource,
): Map<DraftedState, NodeRef> {
  const maps = new Map<DraftedState, NodeRef>();
  for (const draft of drafts) {
    // Oldest first, without recursion: a chain of them may be long.
    const line: DraftedState[] = [];
    for (
      let it: DraftedState | undefined = draft;
      it && !maps.has(it);
      it = origins.get(it)?.from
    ) {
      line.push(it);
    }
    for (const it of line.toReversed()) {
      const origin = origins.get(it);
      const from = origin && maps.get(origin.from);
      if (origin && from !== undefined) {
        const key = typeof origin.event === "string" ? keyOf(origin.event) : origin.event;
        maps.set(it, setSlot(from, origin.slot, key, source));
      } else {
        maps.set(it, mapOfDraft(it, keyOf, source));
      }
    }
  }
  return maps;
}
