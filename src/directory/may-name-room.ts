import { readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { membershipOf } from "#src/rooms/memberships.ts";

/** Whether a user may say by what a room is found: who is in it and may set its canonical alias. */
export async function mayNameRoom(
  hs: Homeserver,
  { userId, userKey }: Requester,
  roomId: RoomId,
): Promise<boolean> {
  const room = await findRoom(hs, roomId);
  // Power levels go on naming whoever has left.
  if (!room || (await membershipOf(hs, userKey, room.roomKey)) !== "join") return false;
  const [create, powerLevels] = await Promise.all([
    stateEvent(hs, room.roomKey, "m.room.create", ""),
    stateEvent(hs, room.roomKey, "m.room.power_levels", ""),
  ]);
  if (!create) return false;
  const levels = readPowerLevels(powerLevels?.pdu(room.rules), create.pdu(room.rules), room.rules);
  return levels.powerOf(userId) >= levels.levelFor("m.room.canonical_alias", true);
}
