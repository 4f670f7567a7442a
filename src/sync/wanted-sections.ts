import type { Filter, RoomEventFilter } from "#src/filters/filter.ts";
import { matchesRoomEventFilter, matchesRooms } from "#src/filters/matches-event-filter.ts";
import type { SyncRoomPart } from "#src/streams/sync-section.ts";
import type { Sections } from "./read-sections.ts";
import { STICKY_SECTION } from "./sticky-events.ts";
import type { RoomIds } from "./wanted-events.ts";

/** What the sections say of rooms as far as the client wants to hear it. */
export function wantedSections(sections: Sections, { room }: Filter, roomIds: RoomIds): Sections {
  if (!room?.ephemeral && !room?.account_data) return sections;
  const rooms = new Map<number, SyncRoomPart>();
  for (const [roomKey, { ephemeral, accountData, ...part }] of sections.rooms) {
    const roomId = roomIds.get(roomKey) ?? "";
    const wanted = {
      ...part,
      ephemeral: eventsWanted(room.ephemeral, roomId, ephemeral),
      accountData: eventsWanted(room.account_data, roomId, accountData),
    };
    if (hasEvents(wanted) || hasOther(wanted)) rooms.set(roomKey, wanted);
  }
  return { ...sections, rooms };
}

function eventsWanted(
  filter: RoomEventFilter | undefined,
  roomId: string,
  events: readonly object[] = [],
): readonly object[] {
  if (!matchesRooms(filter, roomId)) return [];
  return events.filter((it) => matchesRoomEventFilter(filter, it as { type: string }));
}

/** Whether a room's part has events to tell of. */
export function hasEvents({ ephemeral = [], accountData = [], other = {} }: SyncRoomPart): boolean {
  return ephemeral.length + accountData.length > 0 || STICKY_SECTION in other;
}

function hasOther({ other = {} }: SyncRoomPart): boolean {
  return Object.keys(other).length > 0;
}
