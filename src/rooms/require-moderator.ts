import { readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { currentStateRoot, statesAt } from "./current-state.ts";
import type { Room } from "./find-room.ts";
import { membershipOf } from "./memberships.ts";
import { pairKey } from "./state-slots.ts";

/**
 * Refuses whoever is not in a room or may not redact what others have sent to it, but for administrators of this server.
 *
 * @throws MatrixError M_FORBIDDEN
 */
export async function requireModerator(
  hs: Homeserver,
  requester: Requester,
  room: Room,
): Promise<void> {
  if (requester.isAdmin || (await isModerator(hs, requester, room))) return;
  throw new MatrixError("M_FORBIDDEN", "It takes the power to redact what others have sent");
}

/** Whether a user is in a room and may redact what others have sent to it. */
export async function isModerator(
  hs: Homeserver,
  { userId, userKey }: Requester,
  { roomKey, rules }: Room,
): Promise<boolean> {
  // Power levels go on naming whoever has left.
  if ((await membershipOf(hs, userKey, roomKey)) !== "join") return false;
  const state = await statesAt(hs, await currentStateRoot(hs, roomKey), [
    ["m.room.create", ""],
    ["m.room.power_levels", ""],
  ]);
  const create = state.get(pairKey("m.room.create", ""));
  if (!create) return false;
  const levels = readPowerLevels(
    state.get(pairKey("m.room.power_levels", "")),
    create.pdu(rules),
    rules,
  );
  return levels.powerOf(userId) >= levels.named("redact");
}
