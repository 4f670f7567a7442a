import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import { membersNotYetGiven } from "./lazy-members.ts";
import type { SummedRoom } from "./room-summaries.ts";
import type { Timeline } from "./room-timelines.ts";
import type { SyncRequest } from "./sync-request.ts";
import { type RoomIds, wantedEvents } from "./wanted-events.ts";

type Told = {
  readonly timelines: ReadonlyMap<number, Timeline>;
  readonly states: ReadonlyMap<number, readonly StoredEvent[]>;
  readonly summed: ReadonlyMap<number, SummedRoom>;
  readonly upTo: Position;
  readonly roomIds: RoomIds;
};

/**
 * The states of rooms with the members that the rooms are named after, for a client that is not told of all: without
 * them it would know whom a room is named after, and not what they are called.
 *
 * @spec client-server-api#lazy-loading-room-members
 */
export async function withHeroes(
  hs: Homeserver,
  request: SyncRequest,
  rooms: readonly ChangedRoom[],
  told: Told,
): Promise<ReadonlyMap<number, readonly StoredEvent[]>> {
  const { states, summed } = told;
  if (request.filter.room?.state?.lazy_load_members !== true) return states;
  const keys = [...summed.values()].flatMap((it) => it.heroEvents);
  if (keys.length === 0) return states;
  const events = await eventsOf(hs, keys);
  const result = new Map(states);
  for (const room of rooms) {
    const { heroEvents = [] } = summed.get(room.roomKey) ?? {};
    const heroes = heroEvents.flatMap((it) => events.get(it) ?? []);
    const further = untold(hs, request, room, { ...told, heroes });
    const known = states.get(room.roomKey) ?? [];
    if (further.length > 0) result.set(room.roomKey, [...known, ...further]);
  }
  return result;
}

/** Those heroes of a room that the client wants to be told of and neither is told of nor was. */
function untold(
  hs: Homeserver,
  { filter, fullState, requester, stateAfter }: SyncRequest,
  { roomKey, isNew }: ChangedRoom,
  { timelines, states, heroes, roomIds }: Told & { readonly heroes: readonly StoredEvent[] },
): readonly StoredEvent[] {
  const stateFilter = filter.room?.state;
  // The state after a timeline is told in full, and not only what the timeline leaves out.
  const shown = stateAfter ? [] : (timelines.get(roomKey)?.events ?? []);
  const told = new Set([...(states.get(roomKey) ?? []), ...shown].map((it) => it.eventKey));
  const isWanted = wantedEvents(stateFilter, roomIds);
  const wanted = heroes.filter((it) => !told.has(it.eventKey) && isWanted(it));
  if (stateFilter?.include_redundant_members === true) return wanted;
  const anew = isNew || fullState;
  return membersNotYetGiven(hs, requester.deviceKey, wanted, { anew });
}
