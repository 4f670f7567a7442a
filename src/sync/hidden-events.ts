import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { visibleInRooms } from "#src/timeline/visible-events.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import type { SyncRequest } from "./sync-request.ts";

/** A room of which a user is to be told, as far as it decides what of it they may see. */
export type GuardedRoom = Pick<ChangedRoom, "roomKey" | "standing"> & {
  /** Whether some of it may not be for the user to see: but in forks not so where they have been joined all the while. */
  readonly isGuarded: boolean;
};

const NONE: ReadonlySet<StoredEvent> = new Set();

/**
 * Of events of some rooms, those that the user may not see. What came among forks is always looked at: however long
 * somebody has been joined, in another fork they may not be.
 */
export async function hiddenEvents(
  hs: Homeserver,
  requester: SyncRequest["requester"],
  rooms: readonly GuardedRoom[],
  events: Iterable<StoredEvent>,
): Promise<ReadonlySet<StoredEvent>> {
  const guarded = new Set(rooms.filter((it) => it.isGuarded).map((it) => it.roomKey));
  const asked = [...events].filter((it) => it.amongForks || guarded.has(it.roomKey));
  if (asked.length === 0) return NONE;
  const standings = new Map(rooms.map((it) => [it.roomKey, it.standing]));
  const seen = new Set(await visibleInRooms(hs, requester, asked, standings));
  return new Set(asked.filter((it) => !seen.has(it)));
}
