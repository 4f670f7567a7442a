import type { RoomSummary } from "#src/directory/room-summary.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { serversToAsk } from "#src/membership/outside/servers-to-ask.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { membershipOf } from "#src/rooms/memberships.ts";
import { isOpen, sightOfUser } from "./may-see-room.ts";
import { remoteSpace } from "./remote-space.ts";
import { findRoomsHere } from "./spaces-here.ts";

export type SummaryForUser = RoomSummary & { readonly membership?: string };

/**
 * What somebody may know of a room before they are in it, and what they are in it. Those who are not logged in
 * are told of open rooms that this server is in; for them no other server is asked.
 *
 * @param via servers that may know of a room that this one is not in.
 * @throws MatrixError M_NOT_FOUND of a room that nobody knows, or that they may not know of.
 * @spec client-server-api#get_matrixclientv1room_summaryroomidoralias
 */
export async function readSummary(
  hs: Homeserver,
  userKey: number | undefined,
  { roomId, via }: { readonly roomId: RoomId; readonly via: readonly ServerName[] },
): Promise<SummaryForUser> {
  const here = (await findRoomsHere(hs, [roomId])).get(roomId)?.summary;
  if (userKey === undefined) {
    if (!here || !isOpen(here)) throw notFound();
    return here;
  }
  const summary = here ?? (await toldSummary(hs, userKey, { roomId, via }));
  if (!summary || !(await sightOfUser(hs, userKey, [summary]))(summary)) throw notFound();
  const room = await findRoom(hs, roomId);
  const membership = room && (await membershipOf(hs, userKey, room.roomKey));
  return { ...summary, membership: membership ?? "leave" };
}

/** What other servers tell of a room that this one is not in. */
async function toldSummary(
  hs: Homeserver,
  userKey: number,
  { roomId, via }: { readonly roomId: RoomId; readonly via: readonly ServerName[] },
): Promise<RoomSummary | undefined> {
  const room = await findRoom(hs, roomId);
  const { first, others } = await serversToAsk(hs, { userKey, room, via });
  return (await remoteSpace(hs, roomId, [...first, ...others]))?.room.summary;
}

function notFound(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "There is no such room that you may see");
}
