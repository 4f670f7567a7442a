import { POLICIES } from "./policy/policy-server.ts";
import type { RoomWrite } from "./room-write.ts";
import type { StatePair } from "./state-slots.ts";

/** What nearly every event is checked against, and who else has to be asked. */
const ALWAYS: readonly StatePair[] = [
  ["m.room.create", ""],
  ["m.room.power_levels", ""],
  ...POLICIES,
];

/** The pairs whose current state events must be in memory before writes to a room are built. */
export function neededPairs(writes: readonly RoomWrite[]): StatePair[] {
  return [...ALWAYS, ...writes.flatMap((it) => [...it.needs, ...it.sets])];
}
