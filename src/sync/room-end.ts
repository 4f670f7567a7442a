import type { Position } from "#src/homeserver/position.ts";
import type { ChangedRoom } from "./changed-rooms.ts";

/** Who has left sees up to that, and no further. */
export function endOf(
  { standing: { membership, position } }: Pick<ChangedRoom, "standing">,
  upTo: Position,
): Position {
  return membership === "leave" || membership === "ban" ? Math.min(position, upTo) : upTo;
}

/** Where the state ends that a user may know: where they have left the room, whatever has become of them since. */
export function endOfState(
  room: Pick<ChangedRoom, "standing" | "leftAt">,
  upTo: Position,
): Position {
  return Math.min(room.leftAt ?? upTo, endOf(room, upTo));
}
