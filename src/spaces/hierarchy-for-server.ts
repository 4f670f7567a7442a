import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { sightOfServer } from "./may-see-room.ts";
import type { HierarchyRoom } from "./read-hierarchy.ts";
import { findRoomsHere, type RoomHere } from "./spaces-here.ts";

/** Rooms of a space that another server is told of. */
const MOST_CHILDREN = 500;

/** What another server is told of a space. Names are the wire's. */
export type SpaceForServer = {
  readonly room: HierarchyRoom;
  readonly children: readonly HierarchyRoom[];
  readonly inaccessible_children: readonly RoomId[];
};

/**
 * A room that this server is in and, if it is a space, those in it that it is in too.
 *
 * @throws MatrixError M_NOT_FOUND if we are not in the room, or the server may not be told of it.
 * @spec server-server-api#get_matrixfederationv1hierarchyroomid
 */
export async function hierarchyForServer(
  hs: Homeserver,
  server: ServerName,
  { roomId, suggestedOnly }: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
): Promise<SpaceForServer> {
  const top = (await findRoomsHere(hs, [roomId])).get(roomId);
  if (!top || !(await sightOfServer(hs, server, [top]))(top.summary)) {
    throw new MatrixError("M_NOT_FOUND", "There is no such room that you may see");
  }
  const named = top.children
    .filter((it) => !suggestedOnly || it.content["suggested"] === true)
    .slice(0, MOST_CHILDREN)
    .map((it) => it.state_key);
  const found = await findRoomsHere(hs, named);
  const maySee = await sightOfServer(hs, server, [...found.values()]);
  const below = named.flatMap((it) => found.get(it) ?? []);
  return {
    room: onTheWire(top, suggestedOnly),
    children: below.filter((it) => maySee(it.summary)).map((it) => onTheWire(it, suggestedOnly)),
    inaccessible_children: below
      .filter((it) => !maySee(it.summary))
      .map((it) => it.summary.room_id),
  };
}

function onTheWire({ summary, children }: RoomHere, suggestedOnly: boolean): HierarchyRoom {
  const shown = children.filter((it) => !suggestedOnly || it.content["suggested"] === true);
  return { ...summary, children_state: shown };
}
