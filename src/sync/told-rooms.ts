import type { StoredEvent } from "#src/rooms/stored-event.ts";
import type { ChangedRoom, ChangedRooms } from "./changed-rooms.ts";
import type { Sections } from "./read-sections.ts";
import type { SummedRoom } from "./room-summaries.ts";
import type { Timeline } from "./room-timelines.ts";
import type { SyncRequest } from "./sync-request.ts";
import { hasEvents } from "./wanted-sections.ts";

type Parts = {
  readonly request: SyncRequest;
  readonly rooms: ChangedRooms;
  readonly timelines: ReadonlyMap<number, Timeline>;
  readonly states: ReadonlyMap<number, readonly StoredEvent[]>;
  readonly summaries: ReadonlyMap<number, SummedRoom>;
  readonly sections: Sections;
};

/**
 * The rooms of an answer without the joined rooms of which there is nothing to tell, since the client's filter, or whom the user
 * ignores, leaves nothing of what has happened: for those no client is to be woken. How much is unread of them is told
 * with what happens next.
 */
export function withoutUntold(parts: Parts): Pick<Parts, "rooms" | "sections"> {
  const { rooms, sections } = parts;
  const untold = rooms.joined.filter((it) => !isTold(parts, it));
  if (untold.length === 0) return { rooms, sections };
  const keys = new Set(untold.map((it) => it.roomKey));
  return {
    rooms: { ...rooms, joined: rooms.joined.filter((it) => !keys.has(it.roomKey)) },
    sections: {
      ...sections,
      rooms: new Map(
        [...sections.rooms].filter(([roomKey, part]) => !keys.has(roomKey) || hasEvents(part)),
      ),
    },
  };
}

function isTold(
  { request, timelines, states, summaries }: Parts,
  { roomKey, isNew }: ChangedRoom,
): boolean {
  if (isNew || request.fullState || summaries.has(roomKey)) return true;
  const timeline = timelines.get(roomKey);
  if (timeline && (timeline.limited || timeline.events.length > 0)) return true;
  return (states.get(roomKey)?.length ?? 0) > 0;
}
