import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Room } from "../find-room.ts";
import { knownHead, readHeads, type RoomHead } from "../room-head.ts";

/** A room's head as this process knows it. Whether it is still true is seen in the lane. */
export async function headOf(hs: Homeserver, room: Room): Promise<RoomHead> {
  const head =
    knownHead(hs, room.roomKey) ?? (await readHeads(hs, hs.sql, [room])).get(room.roomKey);
  if (!head) throw new Error("a room that is known has no row");
  return head;
}
