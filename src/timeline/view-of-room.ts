import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { currentStateRoot } from "#src/rooms/current-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { forbidden, requireRoom, type Standing, standingOf } from "#src/rooms/memberships.ts";
import { isWorldReadable } from "#src/rooms/world-readable.ts";
import { endOfLastStay } from "./last-stay.ts";

/** What a user can see of a room: all of it, or as it was when they left. */
export type RoomView = {
  readonly room: Room;
  readonly standing: Standing | undefined;
  /** The same by the room's key, for who renders events of the room. */
  readonly standings: ReadonlyMap<number, Standing>;
  /** The state to show: of now, or of when the user left. */
  readonly root: number;
  /** The end of what the user can see, if they have left: the place of their leaving. */
  readonly until: number | undefined;
};

/**
 * What a user can see of a room.
 *
 * @throws MatrixError M_FORBIDDEN if nothing, also of a room that does not exist.
 * @spec client-server-api#room-history-visibility
 */
export async function viewOfRoom(
  hs: Homeserver,
  { userKey }: Pick<Requester, "userKey">,
  roomId: RoomId,
): Promise<RoomView> {
  const room = await requireRoom(hs, roomId);
  const [standing, root] = await Promise.all([
    standingOf(hs, userKey, room.roomKey),
    currentStateRoot(hs, room.roomKey),
  ]);
  const standings = new Map(standing && [[room.roomKey, standing]]);
  if (standing?.membership === "join" || (await isWorldReadable(hs, root))) {
    return { room, standing, standings, root, until: undefined };
  }
  // Whoever has been a member sees what they saw then, though they may have been invited or banned since.
  const left = standing?.forgotten === false ? await endOfLastStay(hs, standing) : undefined;
  if (left?.stateAfter === undefined) throw forbidden();
  return { room, standing, standings, root: left.stateAfter, until: left.anchor };
}
