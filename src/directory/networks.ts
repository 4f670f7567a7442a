import { networkName } from "#src/appservices/network-name.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { unpublish } from "./queries-published.ts";
import { publishRoom } from "./room-aliases.ts";
import type { DirectoryVisibility } from "./set-visibility.ts";

const LONGEST_NAME = 255;

/**
 * Lists a room in the directory for a network of the application service that asks, or takes it out.
 *
 * @throws MatrixError M_FORBIDDEN of who is no application service; M_NOT_FOUND if there is no such room;
 *   M_INVALID_PARAM of what names no network.
 * @spec client-server-api#put_matrixclientv3directorylistappservicenetworkidroomid
 */
export async function setNetworkVisibility(
  hs: Homeserver,
  { appserviceId, userKey }: Requester,
  it: {
    readonly networkId: string;
    readonly roomId: RoomId;
    readonly visibility: DirectoryVisibility;
  },
): Promise<void> {
  if (appserviceId === undefined) {
    throw new MatrixError("M_FORBIDDEN", "Only application services have networks");
  }
  if (it.networkId.includes("\0") || it.networkId.length > LONGEST_NAME) {
    throw new MatrixError("M_INVALID_PARAM", "This names no network");
  }
  const room = await findRoom(hs, it.roomId);
  if (!room) throw new MatrixError("M_NOT_FOUND", "There is no such room");
  const network = networkName(appserviceId, it.networkId);
  if (it.visibility === "private") await unpublish(hs.sql, room.roomKey, network);
  else await publishRoom(hs.sql, room.roomKey, userKey, network);
}
