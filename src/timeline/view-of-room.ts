import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { currentStateRoot, statesAt } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { type Standing, standingOf } from "#src/rooms/memberships.ts";
import { pairKey } from "#src/rooms/state-slots.ts";

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
  const room = await findRoom(hs, roomId);
  if (!room) throw forbidden();
  const standing = await standingOf(hs, userKey, room.roomKey);
  if (standing?.membership === "join") {
    return { room, standing, root: await currentStateRoot(hs, room.roomKey), until: undefined };
  }
  if (standing && !standing.forgotten) {
    const left = await viewOfTheOneWhoLeft(hs, room, standing);
    if (left) return left;
  }
  const root = await currentStateRoot(hs, room.roomKey);
  const pair = ["m.room.history_visibility", ""] as const;
  const visibility = (await statesAt(hs, root, [pair])).get(pairKey(...pair));
  if (visibility?.content["history_visibility"] !== "world_readable") throw forbidden();
  return { room, standing, root, until: undefined };
}

async function viewOfTheOneWhoLeft(
  hs: Homeserver,
  room: Room,
  standing: Standing,
): Promise<RoomView | undefined> {
  if (standing.membership !== "leave" && standing.membership !== "ban") return undefined;
  const events = await eventsOf(hs, [standing.eventKey]);
  const left = events.get(standing.eventKey);
  const before = left?.replaces === undefined ? undefined : await eventsOf(hs, [left.replaces]);
  const was = before?.get(left?.replaces ?? 0)?.content["membership"];
  // Who was only invited, or left long ago and was banned since, sees nothing of the room.
  if (was !== "join" || left?.stateAfter === undefined) return undefined;
  return { room, standing, root: left.stateAfter, until: left.anchor };
}

function forbidden(): MatrixError {
  return new MatrixError("M_FORBIDDEN", "You may not see this room");
}
