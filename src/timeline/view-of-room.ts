import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import {
  forbidden,
  requireRoom,
  type Standing,
  standingAndStateRoot,
} from "#src/rooms/memberships.ts";
import type { RenderOptions } from "#src/rooms/render-events.ts";
import { isWorldReadable } from "#src/rooms/world-readable.ts";
import { endOfLastStay } from "./last-stay.ts";

/** What a user can see of a room: all of it, or as it was when they left. */
export type RoomView = {
  readonly room: Room;
  readonly standing: Standing | undefined;
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
  const { standing, stateRoot: root } = await standingAndStateRoot(hs, userKey, room.roomKey);
  if (standing?.membership === "join" || (await isWorldReadable(hs, root))) {
    return { room, standing, root, until: undefined };
  }
  // Whoever has been a member sees what they saw then, though they may have been invited or banned since.
  const left = standing?.forgotten === false ? await endOfLastStay(hs, standing) : undefined;
  if (left?.stateAfter === undefined) throw forbidden();
  return { room, standing, root: left.stateAfter, until: left.anchor };
}

/** How events of the room are rendered for who has the view of it: what they are in it need not be asked again. */
export function shownIn({ room, standing }: RoomView): RenderOptions {
  return { roomId: true, standings: new Map(standing && [[room.roomKey, standing]]) };
}
