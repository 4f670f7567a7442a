import type { RoomEventFilter } from "#src/filters/filter.ts";
import { asksRelating, isNarrow } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { relatingEvents } from "#src/timeline/relating-events.ts";
import { type Place, placeBefore } from "#src/timeline/token.ts";
import { visibleInRooms } from "#src/timeline/visible-events.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import { isSummed } from "./room-summaries.ts";
import type { SyncRequest } from "./sync-request.ts";
import { type RoomIds, type Wanted, wantedEvents } from "./wanted-events.ts";

/** The newest events of a room that a client is told of. */
export type Timeline = {
  /** Oldest first. */
  readonly events: readonly StoredEvent[];
  /** Whether there are older ones that the client has not got. */
  readonly limited: boolean;
  /** Where reading backwards goes on. */
  readonly start: Place;
  /** Whether anything of it, told or not, may have changed the room's summary. */
  readonly changesSummary: boolean;
};

/** How many events a client gets of a room, if it does not say. */
const STANDARD = 10;
const MOST = 1_000;

/** How many events are looked through for each that a filter lets pass. */
const LOOKED_AT_PER_EVENT = 10;

/** The timelines of rooms up to a position, by room key: from memory, or with one query for all. */
export async function roomTimelines(
  hs: Homeserver,
  request: SyncRequest,
  rooms: readonly ChangedRoom[],
  { upTo, ignored, roomIds }: { upTo: Position; ignored: ReadonlySet<string>; roomIds: RoomIds },
): Promise<Map<number, Timeline>> {
  const filter = request.filter.room?.timeline;
  const limit = Math.min(filter?.limit ?? STANDARD, MOST);
  const matches = wantedEvents(filter, roomIds);
  const wanted: Wanted = (event, relating) =>
    !(event.stateKey === undefined && ignored.has(event.sender)) && matches(event, relating);
  // What relates to events has to be read.
  const mayBeInMemory = !asksRelating(filter);

  const timelines = new Map<number, Timeline>();
  const toRead: ChangedRoom[] = [];
  for (const room of rooms) {
    const inMemory =
      mayBeInMemory && room.events && timelineOf(room.events, { limit, wanted, upTo });
    // Of what is more than the client wants, the database knows best where it ends.
    if (inMemory) timelines.set(room.roomKey, inMemory);
    else toRead.push(room);
  }
  const read = await readTimelines(hs, request, toRead, { upTo, limit, wanted, filter });
  for (const [roomKey, timeline] of read) timelines.set(roomKey, timeline);
  return timelines;
}

/** All of a room's news, if they are in memory and no more than the client wants. */
function timelineOf(
  events: readonly StoredEvent[],
  { limit, wanted, upTo }: { limit: number; wanted: Wanted; upTo: Position },
): Timeline | undefined {
  const shown = events.filter(
    (it) => it.status === EventStatus.accepted && it.anchor !== undefined,
  );
  if (shown.length > limit) return undefined;
  const asked = shown.filter((it) => wanted(it));
  return {
    events: asked,
    limited: false,
    start: startOf(asked[0], upTo),
    changesSummary: shown.some(isSummed),
  };
}

async function readTimelines(
  hs: Homeserver,
  { requester, since }: SyncRequest,
  rooms: readonly ChangedRoom[],
  {
    upTo,
    limit,
    wanted,
    filter,
  }: {
    upTo: Position;
    limit: number;
    wanted: Wanted;
    filter: RoomEventFilter | undefined;
  },
): Promise<Map<number, Timeline>> {
  if (rooms.length === 0) return new Map();
  const count = (isNarrow(filter) ? limit * LOOKED_AT_PER_EVENT : limit) + 1;
  const rows = await hs.sql<{ room_key: number; event_key: number }[]>`
    select asked.room_key, found.event_key from unnest(
      ${rooms.map((it) => it.roomKey)}::bigint[],
      ${rooms.map((it) => (it.isNew ? -1 : (since ?? -1)))}::bigint[],
      ${rooms.map((it) => endOf(it, upTo))}::bigint[]) as asked (room_key, after, up_to)
    cross join lateral (
      select event_key from events
      where events.room_key = asked.room_key and status = 0
        and anchor > asked.after and anchor <= asked.up_to
      order by anchor desc, anchor_offset desc limit ${count}) as found`;
  const events = await eventsOf(
    hs,
    rows.map((it) => it.event_key),
  );
  const byRoom = Map.groupBy(rows, (it) => it.room_key);
  // Whoever has been joined all the while may see all.
  const guarded = new Set(rooms.filter((it) => it.isNew || it.standing.membership !== "join"));
  const [seen, relating] = await Promise.all([
    visibleOf(hs, requester, [...guarded], events),
    relatingEvents(hs, filter, events.values()),
  ]);
  const timelines = new Map<number, Timeline>();
  for (const room of rooms) {
    const newestFirst = (byRoom.get(room.roomKey) ?? []).flatMap(
      (it) => events.get(it.event_key) ?? [],
    );
    const looked = newestFirst.slice(0, count - 1);
    const visible = guarded.has(room) ? looked.filter((it) => seen.has(it)) : looked;
    const told = room.isOutside ? visible : unbroken(looked, visible);
    const asked = told.filter((it) => wanted(it, relating.get(it.eventId)));
    const isCut = newestFirst.length > looked.length || visible.length > told.length;
    const isMore = isCut || asked.length > limit || hasMissed(room, since);
    const shown = asked.slice(0, limit).reverse();
    timelines.set(room.roomKey, {
      events: shown,
      // Whoever was outside has missed nothing that they might read.
      limited: isMore && !room.isOutside,
      start: startOf(shown[0], endOf(room, upTo)),
      changesSummary: told.some(isSummed),
    });
  }
  return timelines;
}

/** Whether a client has missed something of a room whatever its timeline holds: if the user came (back) to it. */
function hasMissed({ isNew }: ChangedRoom, since: Position | undefined): boolean {
  return isNew && since !== undefined;
}

/**
 * The newest of what the user may see, up to the first event among it that they may not: that may have changed the
 * state, and only before a timeline can they be told of it. What is older can be read as older messages.
 */
function unbroken(
  looked: readonly StoredEvent[],
  visible: readonly StoredEvent[],
): readonly StoredEvent[] {
  const begin = looked.findIndex((it) => it === visible[0]);
  const end = visible.findIndex((it, index) => it !== looked[begin + index]);
  return end === -1 ? visible : visible.slice(0, end);
}

/** Just before a timeline's first event; at its end, if it has none. */
function startOf(first: StoredEvent | undefined, end: Position): Place {
  if (!first) return { anchor: end, offset: 0 };
  return placeBefore(first.anchor ?? 0, first.anchorOffset);
}

/** Of the events of some rooms, those that the user may see. */
async function visibleOf(
  hs: Homeserver,
  requester: SyncRequest["requester"],
  rooms: readonly ChangedRoom[],
  events: ReadonlyMap<number, StoredEvent>,
): Promise<ReadonlySet<StoredEvent>> {
  const standings = new Map(rooms.map((it) => [it.roomKey, it.standing]));
  const theirs = [...events.values()].filter((it) => standings.has(it.roomKey));
  return new Set(await visibleInRooms(hs, requester, theirs, standings));
}

/** Who has left sees up to that, and no further. */
export function endOf(
  { standing: { membership, position } }: ChangedRoom,
  upTo: Position,
): Position {
  return membership === "leave" || membership === "ban" ? Math.min(position, upTo) : upTo;
}
