import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { findRoom, type Room } from "../find-room.ts";

/**
 * A room of which another server has told us, made known here if it was not: it has no state before
 * somebody of this server joins it.
 *
 * @param rules the version that the room has, as those say who are in it. If it is known here already,
 *   that decides.
 */
export async function ensureRoom(
  hs: Homeserver,
  roomId: RoomId,
  rules: RoomVersionRules,
): Promise<Room> {
  const known = await findRoom(hs, roomId);
  if (known) return known;
  await hs.sql`
    insert into rooms (room_id, version) values (${roomId}, ${rules.version}) on conflict do nothing`;
  const room = await findRoom(hs, roomId);
  if (!room) throw new Error("a room that was made known is not there");
  return room;
}
