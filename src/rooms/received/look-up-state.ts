import type { StateLookup } from "#src/events/auth-rules/auth-state.ts";
import type { Pdu } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "../find-event.ts";
import { withNodes } from "../state-map/stored-nodes.ts";
import { findSlots, pairKey, type StatePair } from "../state-slots.ts";
import type { RoomReading } from "./auth-graph.ts";
import { type DraftedState, type EntryRef, entryOf } from "./drafted-state.ts";

/** What a state has for some pairs. */
export type FoundState = {
  readonly lookup: StateLookup;
  refOf(type: string, stateKey: string): EntryRef | undefined;
};

/** Reads what a state has for some pairs, so that rules can ask for it without waiting. */
export async function lookUpState(
  hs: Homeserver,
  { room, db, pending }: RoomReading,
  state: DraftedState,
  pairs: readonly StatePair[],
): Promise<FoundState> {
  const slots = await findSlots(hs, pairs, db);
  const refs = await withNodes(hs, db, (source) => {
    const found = new Map<string, EntryRef>();
    for (const slotted of slots) {
      const entry = entryOf(state, slotted[1], source);
      if (entry !== undefined) found.set(slotted[0], entry);
    }
    return found;
  });
  const keys = [...refs.values()].filter((it) => typeof it === "number");
  const events = await eventsOf(hs, keys, db);
  const pduOf = (ref: EntryRef): Pdu | undefined =>
    typeof ref === "string" ? pending.get(ref)?.event : events.get(ref)?.pdu(room.rules);
  return {
    lookup(type, stateKey) {
      const ref = refs.get(pairKey(type, stateKey));
      return ref === undefined ? undefined : pduOf(ref);
    },
    refOf: (type, stateKey) => refs.get(pairKey(type, stateKey)),
  };
}
