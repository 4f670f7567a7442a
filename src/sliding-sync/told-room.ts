import type { StoredEvent } from "#src/rooms/stored-event.ts";
import type { Timeline } from "#src/sync/room-timelines.ts";
import type { AskedRoom } from "./asked-rooms.ts";
import type { ToldState } from "./required-states.ts";
import type { RoomProfile } from "./room-profiles.ts";
import type { UnreadCounts } from "./unread-rooms.ts";

/** What an answer tells of a room. */
export type RoomAnswer = {
  readonly room: AskedRoom;
  readonly timeline: Timeline | undefined;
  readonly state: ToldState | undefined;
  /** The state events that are told, those of lazy members too. */
  readonly stateEvents: readonly StoredEvent[];
  readonly profile: RoomProfile | undefined;
  readonly unread: UnreadCounts | undefined;
  /** JSON texts of what is told to who is not in the room. */
  readonly stripped: readonly string[] | undefined;
};

/** Whether there is anything to tell of a room. */
export function isNews(answer: RoomAnswer): boolean {
  const { since, standing, told, isDm, hasMoved, isExpanded } = answer.room;
  if (since === undefined || standing.position > since || isExpanded) return true;
  if (told?.isDm !== isDm) return true;
  return hasEvents(answer) || (answer.unread !== undefined && !hasMoved);
}

function hasEvents({ timeline, state, stateEvents }: RoomAnswer): boolean {
  if (timeline && (timeline.events.length > 0 || timeline.limited)) return true;
  return stateEvents.length + (state?.deleted.length ?? 0) > 0;
}
