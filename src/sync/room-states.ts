import {
  isNarrow,
  matchesRoomEventFilter,
  matchesRooms,
} from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { allStatesAt, statesAt } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { citedMembers } from "#src/rooms/partial/cited-members.ts";
import { differences } from "#src/rooms/state-map/state-map.ts";
import { withNodes } from "#src/rooms/state-map/stored-nodes.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { rootAt } from "#src/timeline/root-at.ts";
import type { Place } from "#src/timeline/token.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import { membersNotYetGiven } from "./lazy-members.ts";
import { endOfState } from "./room-end.ts";
import type { Timeline } from "./room-timelines.ts";
import type { SyncRequest } from "./sync-request.ts";
import type { RoomIds } from "./wanted-events.ts";

/** A room, its timeline, and between which states the client is to be led. */
type Asked = {
  readonly room: ChangedRoom;
  readonly timeline: Timeline;
  /** The state that the client has; undefined if it has none. */
  readonly from: number | undefined;
  /** The state that it is to have. */
  readonly to: number;
  readonly upTo: Position;
};

/**
 * The state events that rooms' timelines leave out, by room key: those that lead from what the client
 * has to the state before the timeline, or to the state after it if it asks for that.
 *
 * @spec client-server-api#syncing
 */
export async function roomStates(
  hs: Homeserver,
  request: SyncRequest,
  rooms: readonly ChangedRoom[],
  {
    timelines,
    upTo,
    roomIds,
  }: { timelines: ReadonlyMap<number, Timeline>; upTo: Position; roomIds: RoomIds },
): Promise<Map<number, StoredEvent[]>> {
  const asked: Asked[] = [];
  for (const room of rooms) {
    const timeline = timelines.get(room.roomKey);
    const isWanted = matchesRooms(request.filter.room?.state, roomIds.get(room.roomKey) ?? "");
    if (timeline && isWanted && !room.isOutside) {
      asked.push(await statesOf(hs, request, { room, timeline, upTo }));
    }
  }
  const whole = asked.filter((it) => it.from === undefined);
  const states = await allStatesAt(
    hs,
    whole.map((it) => it.to),
  );
  const result = outsideStates(request, rooms, timelines);
  for (const it of asked) {
    const all =
      it.from === undefined ? (states.get(it.to) ?? []) : await changesOf(hs, it.from, it.to);
    const own = request.stateAfter ? await sinceLeaving(hs, it) : undefined;
    const known = own ? [...all.filter((event) => !isAbout(event, own)), own] : all;
    result.set(it.room.roomKey, await wantedState(hs, request, it, known));
  }
  return result;
}

/** Whoever was outside is told of nothing but what they themselves have become. */
function outsideStates(
  { stateAfter }: SyncRequest,
  rooms: readonly ChangedRoom[],
  timelines: ReadonlyMap<number, Timeline>,
): Map<number, StoredEvent[]> {
  if (stateAfter === undefined) return new Map();
  return new Map(
    rooms
      .filter((it) => it.isOutside)
      .map(({ roomKey }) => {
        const events = timelines.get(roomKey)?.events ?? [];
        return [roomKey, events.filter((it) => it.stateKey !== undefined)];
      }),
  );
}

/** What has become since of a user who had left. */
async function sinceLeaving(
  hs: Homeserver,
  { room: { standing, leftAt }, upTo }: Asked,
): Promise<StoredEvent | undefined> {
  if (leftAt === undefined || standing.position <= leftAt || standing.position > upTo) {
    return undefined;
  }
  return (await eventsOf(hs, [standing.eventKey])).get(standing.eventKey);
}

function isAbout(event: StoredEvent, { type, stateKey }: StoredEvent): boolean {
  return event.type === type && event.stateKey === stateKey;
}

async function statesOf(
  hs: Homeserver,
  request: SyncRequest,
  { room, timeline, upTo }: { room: ChangedRoom; timeline: Timeline; upTo: Position },
): Promise<Asked> {
  const { since, stateAfter } = request;
  const { roomKey } = room;
  const isWhole = beginsAnew(request, room);
  const end: Place = { anchor: endOfState(room, upTo), offset: 0 };
  const last = timeline.events.at(-1);
  const isInside = (last?.anchor ?? 0) <= end.anchor;
  // The states around a timeline without a gap are at hand; the others have to be looked up.
  const isGapless = !isWhole && isInside && isTold(request, timeline);
  const before = await rootBefore(hs, roomKey, timeline, end);
  const atHand = isGapless ? last?.roomState : undefined;
  // Of forks only the whole tells what they came to: what of it the timeline does not say.
  const isToEnd = stateAfter !== undefined || timeline.isForked;
  const to = isToEnd ? await rootOr(atHand, hs, roomKey, end) : before;
  if (isWhole) return { room, timeline, from: undefined, to, upTo };
  const from = isGapless ? before : await rootAt(hs, roomKey, { anchor: since ?? 0, offset: 0 });
  return { room, timeline, from, to, upTo };
}

/** Whether a timeline tells by itself all that the state has come to. */
function isTold({ filter }: SyncRequest, { limited, isForked }: Timeline): boolean {
  return !limited && !isForked && !isNarrow(filter.room?.timeline);
}

/** The root of the state before a timeline, or of that in which the user has left if it begins later. */
async function rootBefore(
  hs: Homeserver,
  roomKey: number,
  { start, events: [first] }: Timeline,
  end: Place,
): Promise<number> {
  if (start.anchor > end.anchor) return await rootAt(hs, roomKey, end);
  return await rootOr(first?.stateBefore, hs, roomKey, start);
}

/** A root that is known, or that of a room at a place. */
async function rootOr(
  known: number | undefined,
  hs: Homeserver,
  roomKey: number,
  place: Place,
): Promise<number> {
  return known ?? (await rootAt(hs, roomKey, place));
}

/** Whether a client is told all of a room's state, and not only what of it has changed. */
function beginsAnew({ since, fullState }: SyncRequest, { isNew }: ChangedRoom): boolean {
  return isNew || fullState || since === undefined;
}

/** The events that a later state has and an earlier one has not. */
async function changesOf(hs: Homeserver, from: number, to: number): Promise<StoredEvent[]> {
  if (from === to) return [];
  const keys = await withNodes(hs, hs.sql, (source) =>
    differences(from, to, source).flatMap((it) => (it.after === undefined ? [] : [it.after])),
  );
  return [...(await eventsOf(hs, keys)).values()];
}

async function wantedState(
  hs: Homeserver,
  { requester, filter, since, fullState, stateAfter }: SyncRequest,
  { room, timeline, from, to }: Asked,
  all: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const stateFilter = filter.room?.state;
  // A state event of the timeline itself is told once, unless the state after it is asked for.
  const inTimeline = new Set(stateAfter ? [] : timeline.events.map((it) => it.eventKey));
  const wanted = all.filter(
    (it) => !inTimeline.has(it.eventKey) && matchesRoomEventFilter(stateFilter, it),
  );
  if (stateFilter?.lazy_load_members !== true) return wanted;

  const others = wanted.filter((it) => it.type !== "m.room.member");
  const senders = new Set<string>(timeline.events.map((it) => it.sender));
  if (room.isNew || fullState) senders.add(requester.userId);
  const theirs =
    from === undefined
      ? all.filter((it) => it.type === "m.room.member" && senders.has(it.stateKey ?? ""))
      : await membersIn(hs, to, senders);
  const cited = await citedMembers(hs, timeline.events, theirs);
  const members = [...theirs, ...cited].filter((it) => !inTimeline.has(it.eventKey));
  const anew = room.isNew || fullState;
  // Changes of members that the timeline leaves out must be told whoever was given them; with state_after also to one
  // who begins anew, and may know of members from before.
  const isNews = (it: StoredEvent) => !anew || (it.anchor ?? 0) > (since ?? Infinity);
  const changed =
    from !== undefined || stateAfter
      ? wanted.filter((it) => it.type === "m.room.member" && isNews(it))
      : [];
  const further =
    stateFilter.include_redundant_members === true
      ? members
      : membersNotYetGiven(hs, requester.deviceKey, members, { anew });
  return [...others, ...new Set([...changed, ...further])];
}

async function membersIn(
  hs: Homeserver,
  root: number,
  users: ReadonlySet<string>,
): Promise<StoredEvent[]> {
  const pairs = [...users].map((it): StatePair => ["m.room.member", it]);
  return [...(await statesAt(hs, root, pairs)).values()];
}
