import type { RoomEventFilter } from "#src/filters/filter.ts";
import { asksRelating, isNarrow } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { EventStatus, isOutOfLine, type StoredEvent } from "#src/rooms/stored-event.ts";
import { relatingEvents } from "#src/timeline/relating-events.ts";
import { type Place, placeBefore } from "#src/timeline/token.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import { type GuardedRoom, hiddenEvents } from "./hidden-events.ts";
import { endOf } from "./room-end.ts";
import { isSummed } from "./room-summaries.ts";
import type { SyncRequest } from "./sync-request.ts";
import { lookedAtFor, timelineLimit } from "./timeline-limits.ts";
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
  /** The room's state at its end, if that is at hand. */
  readonly endRoot: number | undefined;
  /**
   * Whether what it tells of did not happen one after the other: there were forks, or some of it came when what follows it was
   * there already, and says what the state was at another time.
   */
  readonly isForked: boolean;
};

/** A room whose timeline is asked for. */
export type TimelineRoom = GuardedRoom &
  Pick<ChangedRoom, "isOutside" | "leftAt" | "events"> & {
    /** The place after which the timeline begins at the earliest; -1 if with the room. */
    readonly after: Position;
    readonly limit: number;
    /** Whether the client has missed something of the room whatever the timeline holds. */
    readonly hasMissed: boolean;
  };

/** Who asks for timelines, and what for. */
type TimelineQuestion = {
  readonly requester: SyncRequest["requester"];
  readonly upTo: Position;
  readonly wanted: Wanted;
  /** What `wanted` goes by, if it is a filter. */
  readonly filter?: RoomEventFilter | undefined;
};

/** The timelines that a request of `/sync` asks for, by room key. */
export async function roomTimelines(
  hs: Homeserver,
  { requester, since, filter: { room } }: SyncRequest,
  rooms: readonly ChangedRoom[],
  { upTo, ignored, roomIds }: { upTo: Position; ignored: ReadonlySet<string>; roomIds: RoomIds },
): Promise<Map<number, Timeline>> {
  const filter = room?.timeline;
  const limit = timelineLimit(filter?.limit, rooms.length);
  const matches = wantedEvents(filter, roomIds);
  const asked = rooms.map((it) => ({
    ...it,
    after: it.isNew ? -1 : (since ?? -1),
    limit,
    isGuarded: it.isNew || it.standing.membership !== "join",
    // If the user came (back) to it.
    hasMissed: it.isNew && since !== undefined,
  }));
  const wanted: Wanted = (event, relating) =>
    !isIgnored(event, ignored) && matches(event, relating);
  return await timelinesOf(hs, asked, { requester, upTo, wanted, filter });
}

/** Whether a user is not told of an event, since they ignore who sent it. @spec client-server-api#ignoring-users */
export function isIgnored(
  { stateKey, sender }: StoredEvent,
  ignored: ReadonlySet<string>,
): boolean {
  return stateKey === undefined && ignored.has(sender);
}

/** The timelines of rooms up to a position, by room key: from memory, or with one query for all. */
export async function timelinesOf(
  hs: Homeserver,
  rooms: readonly TimelineRoom[],
  question: TimelineQuestion,
): Promise<Map<number, Timeline>> {
  // What relates to events has to be read.
  const mayBeInMemory = !asksRelating(question.filter);
  const remembered = mayBeInMemory ? rooms.flatMap((it) => it.events ?? []) : [];
  const hidden = await hiddenEvents(hs, question.requester, rooms, remembered);

  const timelines = new Map<number, Timeline>();
  const toRead: TimelineRoom[] = [];
  for (const room of rooms) {
    const inMemory = mayBeInMemory && timelineInMemory(room, question, hidden);
    // Of what is more than the client wants, the database knows best where it ends.
    if (inMemory) timelines.set(room.roomKey, inMemory);
    else toRead.push(room);
  }
  const read = await readTimelines(hs, toRead, question);
  for (const [roomKey, timeline] of read) timelines.set(roomKey, timeline);
  for (const event of await leavesOutside(hs, rooms)) {
    const timeline = timelines.get(event.roomKey);
    if (!timeline || !question.wanted(event)) continue;
    timelines.set(event.roomKey, { ...timeline, events: [event] });
  }
  return timelines;
}

/** How users came to be out of rooms that they had been invited to from outside: it has no place in what is known of the room. */
async function leavesOutside(
  hs: Homeserver,
  rooms: readonly TimelineRoom[],
): Promise<readonly StoredEvent[]> {
  const left = rooms.filter(
    ({ standing: { membership } }) => membership === "leave" || membership === "ban",
  );
  if (left.length === 0) return [];
  const events = await eventsOf(
    hs,
    left.map((it) => it.standing.eventKey),
  );
  return [...events.values()].filter((it) => it.status === EventStatus.outlier);
}

/** All of a room's news, if they are in memory and no more than the client wants. */
function timelineInMemory(
  { events, limit }: TimelineRoom,
  { wanted, upTo }: TimelineQuestion,
  hidden: ReadonlySet<StoredEvent>,
): Timeline | undefined {
  // What may have been redacted meanwhile has to be read.
  if (events?.some((it) => it.mayBeRedacted)) return undefined;
  const parts = events?.filter((it) => isPart(it) && it.anchor !== undefined);
  const shown = parts?.filter(isShown);
  if (!parts || !shown || shown.length > limit) return undefined;
  // What is around it has to be asked: where the timeline is broken, and the state there.
  if (shown.some((it) => hidden.has(it))) return undefined;
  const asked = shown.filter((it) => wanted(it));
  return {
    events: asked,
    limited: false,
    start: startOf(asked[0], upTo),
    changesSummary: shown.some(isSummed),
    endRoot: rootAfter(parts.at(-1)),
    isForked: parts.some(isOutOfLine),
  };
}

/** Whether an event is part of its room: by what is not shown, too, a room comes to its state. */
function isPart(event: StoredEvent): boolean {
  return isShown(event) || event.status === EventStatus.untold;
}

function isShown({ status }: StoredEvent): boolean {
  return status === EventStatus.accepted;
}

/** The room's state once an event was there, if that says so: one that came late says what it was at another time. */
function rootAfter(event: StoredEvent | undefined): number | undefined {
  return event?.anchorOffset === 0 ? event.roomState : undefined;
}

async function readTimelines(
  hs: Homeserver,
  rooms: readonly TimelineRoom[],
  { requester, upTo, wanted, filter }: TimelineQuestion,
): Promise<Map<number, Timeline>> {
  if (rooms.length === 0) return new Map();
  const lookedAt = ({ limit }: TimelineRoom) =>
    isNarrow(filter) ? lookedAtFor(limit, rooms.length) : limit;
  const rows = await hs.sql<{ room_key: number; event_keys: number[] }[]>`
    select asked.room_key, array(
      select event_key from events
      where events.room_key = asked.room_key and status in (0, 4)
        and anchor > asked.after and anchor <= asked.up_to
      order by anchor desc, anchor_offset desc limit asked.most) as event_keys
    from unnest(
      ${rooms.map((it) => it.roomKey)}::bigint[], ${rooms.map((it) => it.after)}::bigint[],
      ${rooms.map((it) => endOf(it, upTo))}::bigint[],
      ${rooms.map((it) => lookedAt(it) + 1)}::bigint[]) as asked (room_key, after, up_to, most)`;
  const events = await eventsOf(
    hs,
    rows.flatMap((it) => it.event_keys),
  );
  const byRoom = new Map(rows.map((it) => [it.room_key, it.event_keys]));
  const [hidden, relating] = await Promise.all([
    hiddenEvents(hs, requester, rooms, events.values()),
    relatingEvents(hs, filter, events.values()),
  ]);
  const timelines = new Map<number, Timeline>();
  for (const room of rooms) {
    const newestFirst = (byRoom.get(room.roomKey) ?? []).flatMap((it) => events.get(it) ?? []);
    const parts = newestFirst.slice(0, lookedAt(room));
    const looked = parts.filter(isShown);
    const isVisible = (it: StoredEvent) => !hidden.has(it);
    const visible = looked.filter(isVisible);
    const told = room.isOutside ? visible : unbroken(room, looked, isVisible);
    const asked = told.filter((it) => wanted(it, relating.get(it.eventId)));
    const isCut = newestFirst.length > parts.length || visible.length > told.length;
    const isMore = isCut || asked.length > room.limit || room.hasMissed;
    const shown = asked.slice(0, room.limit).reverse();
    timelines.set(room.roomKey, {
      events: shown,
      // Whoever was outside has missed nothing that they might read.
      limited: isMore && !room.isOutside,
      start: startOf(shown[0], endOf(room, upTo)),
      changesSummary: told.some(isSummed),
      endRoot: rootAfter(newestFirst[0]),
      isForked: parts.some(isOutOfLine),
    });
  }
  return timelines;
}

/**
 * The newest of what the user may see, up to the first change of state among it that they may not and that still holds: only
 * before a timeline can they be told of that, unless it came after they had left. What is older can be read as older messages.
 */
function unbroken(
  { leftAt = Number.POSITIVE_INFINITY }: TimelineRoom,
  looked: readonly StoredEvent[],
  isVisible: (event: StoredEvent) => boolean,
): readonly StoredEvent[] {
  const told: StoredEvent[] = [];
  for (const event of looked) {
    if (isVisible(event)) told.push(event);
    else if ((event.anchor ?? 0) > leftAt) continue;
    else if (told.length > 0 && event.stateKey !== undefined && !isReplaced(event, told)) break;
  }
  return told;
}

/** Whether a later event sets the same piece of state. */
function isReplaced({ type, stateKey }: StoredEvent, later: readonly StoredEvent[]): boolean {
  return later.some((it) => it.type === type && it.stateKey === stateKey);
}

/** Just before a timeline's first event; at its end, if it has none. */
function startOf(first: StoredEvent | undefined, end: Position): Place {
  if (!first) return { anchor: end, offset: 0 };
  return placeBefore(first.anchor ?? 0, first.anchorOffset);
}
