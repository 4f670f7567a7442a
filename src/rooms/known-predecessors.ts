import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { currentStateRoots, someOfStatesAt } from "./current-state.ts";
import type { Standing } from "./memberships.ts";
import { pairKey, type StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

const VISIBILITY: StatePair = ["m.room.history_visibility", ""];

/** What a reader is and was in rooms. */
type ReaderIn = {
  readonly userId: string;
  /** What they are now, by room key. */
  readonly standings: ReadonlyMap<number, Standing>;
  /** What they were at each event. */
  readonly memberships: ReadonlyMap<StoredEvent, string>;
};

/**
 * Those of some state events of which a reader may know what they took the place of: who was in the room then, or may see
 * what happened in it then. Whoever has come later is told how a room is, and not how it was before.
 *
 * @spec client-server-api#room-history-visibility
 */
export async function withKnownPredecessors(
  hs: Homeserver,
  events: readonly StoredEvent[],
  reader: ReaderIn,
): Promise<ReadonlySet<StoredEvent>> {
  const replacing = events.filter((it) => it.replaces !== undefined);
  const isTheirs = (it: StoredEvent) =>
    reader.memberships.get(it) === "join" ||
    (it.type === "m.room.member" && it.stateKey === reader.userId);
  const known = new Set(replacing.filter(isTheirs));
  if (known.size === replacing.length) return known;
  const unclear = replacing.filter((it) => !known.has(it));
  const visibilities = await visibilitiesAt(hs, unclear);
  for (const event of unclear) {
    if (mayLookBack(event, visibilities.get(event) ?? "shared", reader)) known.add(event);
  }
  return known;
}

function mayLookBack(
  event: StoredEvent,
  visibility: unknown,
  { standings, memberships }: ReaderIn,
): boolean {
  if (visibility === "world_readable") return true;
  const now = standings.get(event.roomKey)?.membership;
  const wasIn = now === "join" || now === "leave" || now === "ban";
  if (!wasIn || visibility === "joined") return false;
  return visibility !== "invited" || memberships.get(event) === "invite";
}

/** Who was to see a room's history when events were sent. It hardly ever changes: mostly it is as it is now. */
async function visibilitiesAt(
  hs: Homeserver,
  events: readonly StoredEvent[],
): Promise<ReadonlyMap<StoredEvent, unknown>> {
  const roots = await currentStateRoots(hs, [...new Set(events.map((it) => it.roomKey))]);
  const now = await someOfStatesAt(hs, roots.values(), [VISIBILITY]);
  const setNow = ({ roomKey }: StoredEvent) =>
    now.get(roots.get(roomKey) ?? 0)?.get(pairKey(...VISIBILITY));
  const isAsNow = (it: StoredEvent) => {
    const set = setNow(it);
    return set !== undefined && !it.amongForks && (it.anchor ?? -1) > (set.anchor ?? 0);
  };
  const older = new Set(events.filter((it) => !isAsNow(it)));
  const rootBefore = ({ stateBefore = 0 }: StoredEvent) => stateBefore;
  const then = await someOfStatesAt(hs, Array.from(older, rootBefore), [VISIBILITY]);
  return new Map(
    events.map((it) => {
      const set = older.has(it)
        ? then.get(rootBefore(it))?.get(pairKey(...VISIBILITY))
        : setNow(it);
      return [it, set?.content["history_visibility"]];
    }),
  );
}
