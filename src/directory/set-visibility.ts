import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { mayNameRoom } from "./may-name-room.ts";
import { isPublished, publishedOf, unpublish } from "./queries-published.ts";
import { publishRoom } from "./room-aliases.ts";

export type DirectoryVisibility = "public" | "private";

/**
 * Whether this server's directory lists a room.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such room.
 * @spec client-server-api#get_matrixclientv3directorylistroomroomid
 */
export async function visibilityOfRoom(
  hs: Homeserver,
  roomId: RoomId,
): Promise<DirectoryVisibility> {
  const { roomKey } = await requireKnown(hs, roomId);
  return (await isPublished(hs.sql, roomKey)) ? "public" : "private";
}

/** Of some rooms, those that this server's directory lists. */
export async function publishedAmong(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<ReadonlySet<number>> {
  return new Set(await publishedOf(hs.sql, roomKeys));
}

/**
 * Lists a room in this server's directory, or takes it out. Members may who may set its canonical alias,
 * and administrators.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such room; M_FORBIDDEN.
 * @spec client-server-api#put_matrixclientv3directorylistroomroomid
 */
export async function setVisibility(
  hs: Homeserver,
  requester: Requester,
  { roomId, visibility }: { readonly roomId: RoomId; readonly visibility: DirectoryVisibility },
): Promise<void> {
  const { roomKey } = await requireKnown(hs, roomId);
  if (!requester.isAdmin && !(await mayNameRoom(hs, requester, roomId))) {
    throw new MatrixError("M_FORBIDDEN", "You may not say whether this room is listed");
  }
  if (visibility === "private") await unpublish(hs.sql, roomKey);
  else await publishRoom(hs.sql, roomKey, requester.userKey);
}

async function requireKnown(hs: Homeserver, roomId: RoomId): Promise<Room> {
  const room = await findRoom(hs, roomId);
  if (!room) throw new MatrixError("M_NOT_FOUND", "There is no such room");
  return room;
}
