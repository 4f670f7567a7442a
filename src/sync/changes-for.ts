import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Requester } from "#src/kit/requester.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";

/**
 * What has happened after one position, up to and including another, that may concern a user: where many are, nearly all
 * that happens is of rooms of others, and whoever tells of what has happened need not look at it.
 *
 * @returns undefined if that is no longer in memory.
 */
export function changesFor(
  hs: Homeserver,
  requester: Requester,
  rooms: UserRooms,
  { after, upTo }: { readonly after: Position; readonly upTo: Position },
): readonly Change[] | undefined {
  const changes = tailOf(hs).between(after, upTo);
  return changes?.filter((it) => !isElsewhere(it, requester, rooms));
}

/** Whether a change is of a room that the user has nothing to do with. What is of no room, those who tell of it have to judge. */
export function isElsewhere(
  { roomKey, userKey, detail }: Change,
  requester: Requester,
  rooms: UserRooms,
): boolean {
  if (roomKey === undefined || rooms.has(roomKey) || userKey === requester.userKey) return false;
  // Whoever is invited is not in the room yet.
  return !(detail instanceof StoredEvent) || detail.stateKey !== requester.userId;
}
