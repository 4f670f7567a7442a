import type { RoomEventFilter } from "#src/filters/filter.ts";
import {
  matchesRoomEventFilter,
  matchesRooms,
  type Relating,
} from "#src/filters/matches-event-filter.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** The IDs of a user's rooms, by their keys. */
export type RoomIds = ReadonlyMap<number, string>;

/** Whether a client wants an event, of which it may have to be known what relates to it. */
export type Wanted = (event: StoredEvent, relating?: Relating) => boolean;

/** What a filter lets through of the events of many rooms. */
export function wantedEvents(filter: RoomEventFilter | undefined, roomIds: RoomIds): Wanted {
  if (!filter?.rooms && !filter?.not_rooms) {
    return (event, relating) => matchesRoomEventFilter(filter, event, relating);
  }
  return (event, relating) =>
    matchesRooms(filter, roomIds.get(event.roomKey) ?? "") &&
    matchesRoomEventFilter(filter, event, relating);
}
