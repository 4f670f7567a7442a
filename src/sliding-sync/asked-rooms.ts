import { directRoomsOf } from "#src/account-data/direct-rooms.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Membership } from "#src/rooms/memberships.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import type { Change } from "#src/streams/stream.ts";
import { eventsByRoom, leavingOf, wasJoined } from "#src/sync/changed-rooms.ts";
import type { TimelineRoom } from "#src/sync/room-timelines.ts";
import { type ConnectionDraft, LIVE, type ToldRoom, toldUpTo } from "./connection-state.ts";
import { readDepartures } from "./departures.ts";
import type { RelevantRoom } from "./relevant-rooms.ts";
import { type RequiredState, textOf } from "./required-state.ts";

/** A room that a request is about, and what the client knows of it. */
export type AskedRoom = RelevantRoom &
  TimelineRoom & {
    readonly roomId: string;
    readonly told: ToldRoom | undefined;
    /** Up to where the client knows it; undefined if it is to be told all anew. */
    readonly since: Position | undefined;
    /** Whether something may have happened that it does not know. */
    readonly hasMoved: boolean;
    /** Whether it wants more of the past than it has been given. */
    readonly isExpanded: boolean;
    /** What state it has been told, if it wants more now. */
    readonly narrower: RequiredState | undefined;
    readonly isDm: boolean;
    /** Whether the user is not in it and was not, so that they are told only what outsiders are. */
    readonly isStripped: boolean;
  };

/** What the answer is made from. */
export type Moment = {
  readonly draft: ConnectionDraft;
  /** The position of the client's token. */
  readonly position: Position | undefined;
  /** All that has happened since, if that is in memory. */
  readonly changes: readonly Change[] | undefined;
  readonly roomIds: ReadonlyMap<number, string>;
};

/** Looks up what a client knows of the rooms that its request is about. */
export async function askedRooms(
  hs: Homeserver,
  userKey: number,
  rooms: Iterable<RelevantRoom>,
  moment: Moment,
): Promise<AskedRoom[]> {
  const events = moment.changes && eventsByRoom(moment.changes);
  const direct = await directRoomsOf(hs, userKey);
  const asked: AskedRoom[] = [];
  for (const room of rooms) {
    const told = moment.draft.roomOf(room.roomKey);
    const roomId = moment.roomIds.get(room.roomKey) ?? "";
    const known = await knownOf(hs, room, told && toldUpTo(told.events, moment.position));
    const about = { ...room, ...known, told, roomId, isDm: direct.has(roomId) };
    const isStripped = STRIPPED.has(room.standing.membership);
    const isShown = !isStripped && !known.isOutside;
    const isExpanded = isShown && isMoreThan(known.since, told, room.config.timelineLimit);
    const narrower = known.since === undefined ? undefined : narrowerThan(room, told, moment.draft);
    asked.push({
      ...about,
      isStripped,
      isExpanded,
      narrower,
      ...timelineFor(about, isExpanded, events),
    });
  }
  return asked;
}

const STRIPPED: ReadonlySet<Membership> = new Set(["invite", "knock"]);

/** Whether so many events are more than a client has been given of what it knows. */
function isMoreThan(
  since: Position | undefined,
  told: ToldRoom | undefined,
  limit: number,
): boolean {
  return since !== undefined && limit > (told?.known ?? 0);
}

/** Which timeline a client is to have. */
function timelineFor(
  { roomKey, standing, since, told, config }: RelevantRoom & Pick<AskedRoom, "since" | "told">,
  isExpanded: boolean,
  events: ReadonlyMap<number, StoredEvent[]> | undefined,
): Pick<AskedRoom, "events" | "after" | "limit" | "isGuarded" | "hasMissed"> {
  const goesOn = since !== undefined && !isExpanded && standing.membership === "join";
  const isInMemory = goesOn && events && told?.events === LIVE;
  return {
    events: isInMemory ? (events.get(roomKey) ?? []) : undefined,
    after: isExpanded ? -1 : (since ?? -1),
    limit: config.timelineLimit,
    isGuarded: !goesOn,
    hasMissed: false,
  };
}

type Known = Pick<AskedRoom, "since" | "hasMoved" | "isOutside" | "leftAt">;

/** What of a room a client knows that was told of it up to a position. */
async function knownOf(
  hs: Homeserver,
  { standing, activity }: RelevantRoom,
  since: Position | undefined,
): Promise<Known> {
  const { membership, position } = standing;
  const hasMoved = since === undefined || activity > since || position > since;
  const isOut = membership === "leave" || membership === "ban";
  const leftAt = isOut ? await endOfStay(hs, standing) : undefined;
  const known = { since, hasMoved, isOutside: isOut && leftAt === undefined, leftAt };
  if (since === undefined || position <= since) return known;
  // Who was not in it when it was told of last knows nothing of it, or not that what they know has a gap.
  if (membership === "join") {
    return (await wasJoined(hs, standing, since)) ? known : { ...known, since: undefined };
  }
  if (!isOut) return { ...known, since: undefined };
  const { isNew } = await leavingOf(hs, standing, since);
  return isNew ? { ...known, since: undefined } : known;
}

/** Where the last stay of somebody ended who is out of a room; undefined if they were never in it. */
async function endOfStay(
  hs: Homeserver,
  standing: RelevantRoom["standing"],
): Promise<Position | undefined> {
  return (await readDepartures(hs, [standing])).get(standing.eventKey)?.leftAt;
}

/** The state that a client has been told of a room, if it does not comprise all that it wants now. */
function narrowerThan(
  { config }: RelevantRoom,
  told: ToldRoom | undefined,
  draft: ConnectionDraft,
): RequiredState | undefined {
  const before = told && draft.configAt(told.config);
  if (!before || before === config.requiredState) return undefined;
  const parts = new Set(before.map(textOf));
  return config.requiredState.every((it) => parts.has(textOf(it))) ? undefined : before;
}
