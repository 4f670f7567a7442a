import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { findRoom, forgetOutsideRoom, type Room } from "../find-room.ts";
import { forgetHead } from "../room-head.ts";

/**
 * A room of which another server has told us, made known here if it was not: it has no state before
 * somebody of this server joins it.
 *
 * @param rules the version that the room has, as those say who are in it. Once somebody of this server has been in it,
 *   what is known here decides. Before, the last word counts: else whoever invites to a room by another version
 *   would keep us out of it.
 */
export async function ensureRoom(
  hs: Homeserver,
  roomId: RoomId,
  rules: RoomVersionRules,
): Promise<Room> {
  const known = await findRoom(hs, roomId);
  if (known?.rules === rules) return known;
  if (known) return await withVersion(hs, known, rules);
  await hs.sql`
    insert into rooms (room_id, version) values (${roomId}, ${rules.version}) on conflict do nothing`;
  const room = await findRoom(hs, roomId);
  if (!room) throw new Error("a room that was made known is not there");
  return room;
}

async function withVersion(hs: Homeserver, room: Room, rules: RoomVersionRules): Promise<Room> {
  const { count } = await hs.sql`
    update rooms set version = ${rules.version}, head_version = head_version + 1
    where room_key = ${room.roomKey} and state_root = 0`;
  if (count === 0) return room;
  hs.log.warn(
    { roomId: room.roomId, was: room.rules.version, version: rules.version },
    "a room turns out to have another version than we were told",
  );
  forgetOutsideRoom(hs, room);
  forgetHead(hs, room.roomKey);
  return { ...room, rules };
}
