import { readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomAlias } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { roomOfAlias } from "./room-aliases.ts";

/**
 * Takes an alias away from its room. Who made it may, who may change the room's canonical alias, and
 * administrators.
 *
 * @throws MatrixError M_NOT_FOUND; M_FORBIDDEN.
 * @spec client-server-api#delete_matrixclientv3directoryroomroomalias
 */
export async function deleteAlias(
  hs: Homeserver,
  requester: Requester,
  alias: RoomAlias,
): Promise<void> {
  const found = await roomOfAlias(hs, alias);
  if (!found) throw new MatrixError("M_NOT_FOUND", "No room has this alias");
  const mayDelete =
    requester.isAdmin ||
    found.creatorKey === requester.userKey ||
    (await mayNameRoom(hs, requester, found.roomId));
  if (!mayDelete) throw new MatrixError("M_FORBIDDEN", "You may not delete this alias");
  await hs.sql`delete from room_aliases where alias = ${alias}`;
}

async function mayNameRoom(
  hs: Homeserver,
  { userId }: Requester,
  roomId: Parameters<typeof findRoom>[1],
): Promise<boolean> {
  const room = await findRoom(hs, roomId);
  if (!room) return false;
  const [create, powerLevels] = await Promise.all([
    stateEvent(hs, room.roomKey, "m.room.create", ""),
    stateEvent(hs, room.roomKey, "m.room.power_levels", ""),
  ]);
  if (!create) return false;
  const levels = readPowerLevels(powerLevels?.pdu(room.rules), create.pdu(room.rules), room.rules);
  return levels.powerOf(userId) >= levels.levelFor("m.room.canonical_alias", true);
}
