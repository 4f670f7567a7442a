import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Requester } from "#src/kit/requester.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { type UserRooms, userRoomsAt } from "#src/rooms/user-rooms.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { SyncRequest } from "./sync-request.ts";

/**
 * Up to where it is plain that nothing has happened which a client would be told of, as is usual for one that has just got
 * an answer: then there is nothing to be read before it waits.
 *
 * @returns undefined if something may have happened, or the client is told whatever has happened.
 */
export async function quietSince(
  hs: Homeserver,
  { requester, since, fullState, resumeAfter, resumeSticky }: SyncRequest,
): Promise<Position | undefined> {
  if (since === undefined || fullState) return undefined;
  if (resumeAfter !== undefined || resumeSticky !== undefined) return undefined;
  const { rooms, upTo } = await userRoomsAt(hs, requester);
  if (upTo < since) return undefined;
  const changes = tailOf(hs).between(since, upTo);
  return changes?.every((it) => isElsewhere(it, requester, rooms)) ? upTo : undefined;
}

/** Whether a change is of a room that the user has nothing to do with. What is of no room, those who tell of it have to judge. */
function isElsewhere(
  { roomKey, userKey, detail }: Change,
  requester: Requester,
  rooms: UserRooms,
): boolean {
  if (roomKey === undefined || rooms.has(roomKey) || userKey === requester.userKey) return false;
  // Whoever is invited is not in the room yet.
  return !(detail instanceof StoredEvent) || detail.stateKey !== requester.userId;
}
