import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { userRoomsAt } from "#src/rooms/user-rooms.ts";
import { tailOf } from "#src/streams/tail.ts";
import { isElsewhere } from "./changes-for.ts";
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
