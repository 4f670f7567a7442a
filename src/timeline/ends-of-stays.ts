import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { currentStateRoots, someOfStatesAt } from "#src/rooms/current-state.ts";
import type { Standing } from "#src/rooms/memberships.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import { endOfLastStay } from "./last-stay.ts";

const VISIBILITY: StatePair = ["m.room.history_visibility", ""];

/**
 * Up to which place in their order somebody knows of rooms, by the rooms' keys: of those that they have left, and into
 * which not everybody may look.
 *
 * @param standings what they are in the rooms now, by room key.
 */
export async function endsOfStays(
  hs: Homeserver,
  standings: ReadonlyMap<number, Standing>,
): Promise<ReadonlyMap<number, Position>> {
  const out = [...standings].filter(([, it]) => it.membership !== "join");
  if (out.length === 0) return new Map();
  const roots = await currentStateRoots(
    hs,
    out.map(([roomKey]) => roomKey),
  );
  const states = await someOfStatesAt(hs, roots.values(), [VISIBILITY]);
  const isOpen = (roomKey: number) =>
    states.get(roots.get(roomKey) ?? 0)?.get(pairKey(...VISIBILITY))?.content[
      "history_visibility"
    ] === "world_readable";
  const ends = new Map<number, Position>();
  for (const [roomKey, standing] of out) {
    if (isOpen(roomKey)) continue;
    const end = (await endOfLastStay(hs, standing))?.anchor;
    if (end !== undefined) ends.set(roomKey, end);
  }
  return ends;
}
