import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "../find-event.ts";
import { withNodes } from "../state-map/stored-nodes.ts";
import type { RoomReading } from "./auth-graph.ts";
import { disputedEntries, entryOf, type EntryRef, isSameDraft } from "./drafted-state.ts";
import { resolveStates } from "./resolve-states.ts";
import type { Extremity } from "./settlement.ts";

/** The most forward extremities that a room has: as many as an event may follow. */
const MOST_EXTREMITIES = 20;

/**
 * Lets extremities of a room give way, if there is one too many: the oldest whose state adds nothing to what all resolve to.
 * Else anybody could undo what others have set, by as many events that follow what was there before.
 *
 * @param extremities the oldest first.
 */
export async function limitExtremities(
  hs: Homeserver,
  reading: RoomReading,
  extremities: readonly Extremity[],
): Promise<readonly Extremity[]> {
  if (extremities.length <= MOST_EXTREMITIES) return extremities;
  const twin = extremities.findIndex((it, index) =>
    extremities.some((other, at) => at !== index && isSameDraft(it.after, other.after)),
  );
  if (twin >= 0) return extremities.toSpliced(twin, 1);
  const weights = await whatEachAdds(hs, reading, extremities);
  return extremities.toSpliced(weights.indexOf(Math.min(...weights)), 1);
}

/** What a user says of themselves weighs less than all else: everybody may change that. */
const OF_ONESELF = 1;
const OF_THE_ROOM = 1_000_000;

/** How much of what extremities resolve to only one of them has, of each. */
async function whatEachAdds(
  hs: Homeserver,
  reading: RoomReading,
  extremities: readonly Extremity[],
): Promise<number[]> {
  const states = extremities.map((it) => it.after);
  const resolved = await resolveStates(hs, reading, states);
  const added = await withNodes(hs, reading.db, (source) => {
    const found: (readonly [index: number, entry: EntryRef])[] = [];
    for (const [slot, entries] of disputedEntries(states, source)) {
      const entry = entryOf(resolved, slot, source);
      const index = entry === undefined ? -1 : entries.indexOf(entry);
      if (entry === undefined || index < 0 || entries.includes(entry, index + 1)) continue;
      found.push([index, entry]);
    }
    return found;
  });
  const ofThemselves = await saidOfOneself(
    hs,
    reading,
    added.map(([, entry]) => entry),
  );
  const weights = extremities.map(() => 0);
  for (const [index, entry] of added) {
    const weight = ofThemselves.has(entry) ? OF_ONESELF : OF_THE_ROOM;
    weights[index] = (weights[index] ?? 0) + weight;
  }
  return weights;
}

/** Those of some events by which users say that they are in the room, or are not. */
async function saidOfOneself(
  hs: Homeserver,
  { room, db, pending }: RoomReading,
  refs: readonly EntryRef[],
): Promise<ReadonlySet<EntryRef>> {
  const keys = refs.filter((it) => typeof it === "number");
  const stored = await eventsOf(hs, keys, db);
  const pduOf = (ref: EntryRef) =>
    typeof ref === "string" ? pending.get(ref)?.event : stored.get(ref)?.pdu(room.rules);
  return new Set(
    refs.filter((ref) => {
      const pdu = pduOf(ref);
      return pdu?.type === "m.room.member" && pdu.state_key === pdu.sender;
    }),
  );
}
