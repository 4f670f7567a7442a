import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import { unwantedInvitations } from "#src/account-data/unwanted-invitations.ts";
import { matchesRooms } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { partialRoomsOf } from "#src/rooms/partial/partial-rooms.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { strippedStates } from "#src/rooms/stripped-states.ts";
import { roomIdsOf, type UserRooms, userRoomsAt } from "#src/rooms/user-rooms.ts";
import { renderAggregated } from "#src/timeline/render-aggregated.ts";
import { type ChangedRoom, changedRooms, type ChangedRooms } from "./changed-rooms.ts";
import { changesFor } from "./changes-for.ts";
import { cutAtHoles } from "./cut-at-holes.ts";
import { withHeroes } from "./hero-members.ts";
import { beginAnswer } from "./lazy-members.ts";
import { namedRooms } from "./named-rooms.ts";
import { readSections, type Sections } from "./read-sections.ts";
import { roomStates } from "./room-states.ts";
import { isSummed, roomSummaries, type SummedRoom } from "./room-summaries.ts";
import { roomTimelines, type Timeline } from "./room-timelines.ts";
import { SECTIONS } from "./sections.ts";
import { withSticky } from "./sticky-events.ts";
import type { SyncRequest } from "./sync-request.ts";
import { withoutUntold } from "./told-rooms.ts";
import { trueTimelines } from "./true-timelines.ts";
import { wantedSections } from "./wanted-sections.ts";

/** All that a client is told at once. */
export type SyncAnswer = {
  readonly upTo: Position;
  readonly request: SyncRequest;
  readonly roomIds: ReadonlyMap<number, string>;
  readonly rooms: ChangedRooms;
  readonly timelines: ReadonlyMap<number, Timeline>;
  readonly states: ReadonlyMap<number, readonly StoredEvent[]>;
  readonly summaries: ReadonlyMap<number, SummedRoom>;
  /** JSON texts of the events that rooms are told to those who are not in them by, by room key. */
  readonly stripped: ReadonlyMap<number, readonly string[]>;
  readonly sections: Sections;
  /** The JSON texts of all events of timelines and states. */
  readonly texts: ReadonlyMap<StoredEvent, string>;
};

/**
 * What has happened that concerns a user since a position, or, for a first sync, how everything
 * stands. What is in memory is not asked of the database.
 *
 * @spec client-server-api#syncing
 */
export async function readSync(hs: Homeserver, request: SyncRequest): Promise<SyncAnswer> {
  const { requester, since, filter } = request;
  const { rooms: allRooms, upTo } = await userRoomsAt(hs, requester);
  if (filter.room?.state?.lazy_load_members === true) {
    beginAnswer(hs, requester.deviceKey, { at: request.tokenAt ?? since, upTo });
  }
  const userRooms = await roomsToTell(hs, request, allRooms);
  const roomIds = await roomIdsOf(hs, userRooms);
  const wanted = wantedRooms(request, userRooms, roomIds);
  const changes =
    since === undefined ? undefined : changesFor(hs, requester, allRooms, { after: since, upTo });
  const ignored = await ignoredUsersOf(hs, requester.userKey);
  const found = await changedRooms(hs, request, wanted, changes);
  const rooms = await withoutUnwanted(hs, requester.userKey, found);
  const told = [...rooms.joined, ...rooms.left];

  const [read, sections, stripped] = await Promise.all([
    roomTimelines(hs, request, told, { upTo, ignored, roomIds }),
    readSections(
      hs,
      SECTIONS,
      {
        requester,
        filter,
        rooms: joinedIds(wanted, roomIds),
        leftRooms: new Set(rooms.left.map((it) => it.roomKey)),
        newRooms: new Set(rooms.joined.filter((it) => it.isNew).map((it) => it.roomKey)),
        changes,
        resumeAfter: request.resumeAfter,
      },
      { after: since, upTo },
    ),
    strippedStates(hs, requester.userKey, [...rooms.invited, ...rooms.knocked], { dated: true }),
  ]);
  const unbroken = await cutAtHoles(hs, read);
  const timelines = request.stateAfter
    ? unbroken
    : await trueTimelines(hs, told, { timelines: unbroken, upTo });
  const changed = await roomStates(hs, request, told, { timelines, upTo, roomIds });
  const summaries = await summariesOf(hs, request, rooms.joined, { timelines, states: changed });
  const known = { timelines, states: changed, summed: summaries, upTo, roomIds };
  const shown = await withHeroes(hs, request, rooms.joined, known);
  const states = await withOwnMembers(hs, rooms, shown);
  const answer = {
    request,
    rooms,
    timelines,
    states,
    summaries,
    sections: await withSticky(hs, wantedSections(sections, filter, roomIds), {
      requester,
      rooms: wanted,
      ignored,
      timelines,
      since,
      resumeSticky: request.resumeSticky,
      upTo,
    }),
  };
  const events = [...timelines.values()].flatMap((it) => it.events);
  const all = [...events, ...[...states.values()].flat()];
  // Whoever has missed nothing knows of what relates to what.
  const limited = [...timelines.values()].filter((it) => it.limited).flatMap((it) => it.events);
  const texts = await renderAggregated(hs, all, requester, {
    roomId: false,
    format: filter.event_format ?? "client",
    standings: userRooms,
    aggregated: limited,
  });
  return {
    ...answer,
    ...withoutUntold(answer),
    upTo,
    roomIds,
    stripped,
    texts: new Map(all.map((it, index) => [it, texts[index] ?? ""])),
  };
}

/**
 * A client that wants to know all members is told of a room when they are known: whoever encrypts for those it
 * knows of would leave out the others.
 */
async function roomsToTell(
  hs: Homeserver,
  { filter }: SyncRequest,
  rooms: UserRooms,
): Promise<UserRooms> {
  const partial = await partialRoomsOf(hs);
  if (partial.size === 0 || filter.room?.state?.lazy_load_members === true) return rooms;
  return new Map([...rooms].filter(([key, it]) => it.membership !== "join" || !partial.has(key)));
}

async function withoutUnwanted(
  hs: Homeserver,
  userKey: number,
  rooms: ChangedRooms,
): Promise<ChangedRooms> {
  const keys = rooms.invited.map((it) => it.standing.eventKey);
  const unwanted = await unwantedInvitations(hs, userKey, keys);
  if (unwanted.size === 0) return rooms;
  const invited = rooms.invited.filter((it) => !unwanted.has(it.standing.eventKey));
  return { ...rooms, invited };
}

/**
 * The states, and of rooms to which the user is invited, or on whose door they knock, that of which we can be sure: the
 * very event by which they are (MSC4319).
 */
async function withOwnMembers(
  hs: Homeserver,
  { invited, knocked }: ChangedRooms,
  states: ReadonlyMap<number, readonly StoredEvent[]>,
): Promise<ReadonlyMap<number, readonly StoredEvent[]>> {
  const rooms = [...invited, ...knocked];
  if (rooms.length === 0) return states;
  const events = await eventsOf(
    hs,
    rooms.map((it) => it.standing.eventKey),
  );
  const all = new Map(states);
  for (const { roomKey, standing } of rooms) {
    const event = events.get(standing.eventKey);
    if (event) all.set(roomKey, [event]);
  }
  return all;
}

/** Whether there is nothing to tell that a client would not know. */
export function isEmpty({ rooms, sections }: SyncAnswer): boolean {
  const { joined, left, invited, knocked } = rooms;
  return (
    joined.length + left.length + invited.length + knocked.length + sections.rooms.size === 0 &&
    Object.keys(sections.global).length === 0
  );
}

function wantedRooms(
  { filter }: SyncRequest,
  rooms: UserRooms,
  roomIds: ReadonlyMap<number, string>,
): UserRooms {
  if (!filter.room?.rooms && !filter.room?.not_rooms) return rooms;
  return new Map(
    [...rooms].filter(([roomKey]) => matchesRooms(filter.room, roomIds.get(roomKey) ?? "")),
  );
}

const joinedOf = new WeakMap<UserRooms, ReadonlyMap<number, `!${string}`>>();

/** The joined of a user's rooms, by their keys. Made once for as long as the rooms stay the same. */
function joinedIds(
  rooms: UserRooms,
  roomIds: ReadonlyMap<number, string>,
): ReadonlyMap<number, `!${string}`> {
  let joined = joinedOf.get(rooms);
  if (!joined) {
    joined = new Map(
      [...rooms]
        .filter(([, it]) => it.membership === "join")
        .map(([roomKey]) => [roomKey, (roomIds.get(roomKey) ?? "!") as `!${string}`]),
    );
    joinedOf.set(rooms, joined);
  }
  return joined;
}

/** Summaries of the rooms whose members, or whose name, may have changed. */
async function summariesOf(
  hs: Homeserver,
  { requester }: SyncRequest,
  rooms: readonly ChangedRoom[],
  {
    timelines,
    states,
  }: {
    timelines: ReadonlyMap<number, Timeline>;
    states: ReadonlyMap<number, readonly StoredEvent[]>;
  },
): Promise<Map<number, SummedRoom>> {
  const changed = rooms.filter(({ roomKey, isNew }) => {
    const timeline = timelines.get(roomKey);
    if (isNew || timeline?.limited || timeline?.changesSummary) return true;
    return states.get(roomKey)?.some(isSummed);
  });
  if (changed.length === 0) return new Map();
  const roomKeys = changed.map((it) => it.roomKey);
  return await roomSummaries(hs, requester.userKey, roomKeys, await namedRooms(hs, roomKeys));
}
