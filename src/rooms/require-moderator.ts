import { readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { currentStateRoot, statesAt } from "./current-state.ts";
import type { Room } from "./find-room.ts";
import { pairKey } from "./state-slots.ts";

/**
 * Refuses whoever may not redact what others have sent to a room, but for administrators of this server.
 *
 * @throws MatrixError M_FORBIDDEN
 */
export async function requireModerator(
  hs: Homeserver,
  { userId, isAdmin }: Requester,
  { roomKey, rules }: Room,
): Promise<void> {
  if (isAdmin) return;
  const state = await statesAt(hs, await currentStateRoot(hs, roomKey), [
    ["m.room.create", ""],
    ["m.room.power_levels", ""],
  ]);
  const create = state.get(pairKey("m.room.create", ""));
  if (create) {
    const levels = readPowerLevels(
      state.get(pairKey("m.room.power_levels", "")),
      create.pdu(rules),
      rules,
    );
    if (levels.powerOf(userId) >= levels.named("redact")) return;
  }
  throw new MatrixError("M_FORBIDDEN", "It takes the power to redact what others have sent");
}
