import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { currentStateRoot, statesAt } from "./current-state.ts";
import type { Room } from "./find-room.ts";
import { forbidden, membershipOf, requireRoom } from "./memberships.ts";
import { pairKey, type StatePair } from "./state-slots.ts";

const VISIBILITY: StatePair = ["m.room.history_visibility", ""];

/** Whether a state lets everybody read the room, members or not. */
export async function isWorldReadable(hs: Homeserver, root: number): Promise<boolean> {
  const event = (await statesAt(hs, root, [VISIBILITY])).get(pairKey(...VISIBILITY));
  return event?.content["history_visibility"] === "world_readable";
}

/**
 * The room of a request whose sender must be joined to it, unless everybody may read it.
 *
 * @throws MatrixError M_FORBIDDEN, also of a room that does not exist.
 */
export async function requireReadable(
  hs: Homeserver,
  { userKey }: { readonly userKey: number },
  roomId: RoomId,
): Promise<Room> {
  const room = await requireRoom(hs, roomId);
  if ((await membershipOf(hs, userKey, room.roomKey)) === "join") return room;
  if (await isWorldReadable(hs, await currentStateRoot(hs, room.roomKey))) return room;
  throw forbidden();
}
