import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import { unwantedInvitations } from "#src/account-data/unwanted-invitations.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Standing } from "#src/rooms/memberships.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { type UserRooms, userRoomsAt } from "#src/rooms/user-rooms.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { renderAggregated } from "#src/timeline/render-aggregated.ts";
import type { RoomView } from "#src/timeline/view-of-room.ts";
import { visibleInRooms } from "#src/timeline/visible-events.ts";
import { eventsByRoom } from "./changed-rooms.ts";
import { endOf } from "./room-end.ts";
import { isIgnored } from "./room-timelines.ts";

/** Who reads the stream of events, and from where. */
export type StreamRequest = {
  readonly requester: Requester;
  readonly from: Position;
  /** The one room of which it is to tell; that may be one that the reader is not in. */
  readonly view?: RoomView | undefined;
  /** The most events of rooms to tell at once. */
  readonly limit: number;
};

/** What has happened, and up to where it has been told. */
export type StreamAnswer = { readonly upTo: Position; readonly chunk: readonly string[] };

/** A room, and up to where the reader hears of it. */
type HeardRoom = { readonly roomKey: number; readonly upTo: Position };

/**
 * The events of a user's rooms since a position, oldest first, with those by which they were invited to others or left
 * them. Who types, has read what or is there is no event by the specification's schema, and is told by `/sync` alone.
 *
 * @spec client-server-api#get_matrixclientv3events
 */
export async function readEventStream(
  hs: Homeserver,
  { requester, from, view, limit }: StreamRequest,
): Promise<StreamAnswer> {
  const { rooms: all, upTo } = await userRoomsAt(hs, requester);
  const rooms = view ? only(all, view.room.roomKey) : all;
  const changes = tailOf(hs).between(from, upTo);
  const heard = view
    ? [{ roomKey: view.room.roomKey, upTo: view.until ?? upTo }]
    : [...rooms].flatMap(([roomKey, standing]) => heardRoom(roomKey, standing, { from, upTo }));
  const known = inMemory(changes, heard);
  const found = known ?? (await readEvents(hs, heard, { from, limit: limit + 1 }));
  const [told, moves] = await Promise.all([
    visible(hs, requester, found, { rooms, from }),
    view ? [] : ownMoves(hs, requester, rooms, from),
  ]);
  const placed = new Map([...moves, ...told.map((it) => [it, it.anchor ?? 0] as const)]);
  // What is after the last of the events that were read is not known.
  const bound = (found.length > limit ? found[limit - 1]?.anchor : undefined) ?? upTo;
  const inOrder = [...placed].filter(([, it]) => it <= bound).toSorted(([, a], [, b]) => a - b);
  const shown = inOrder.slice(0, limit);
  const end = inOrder.length > limit ? (shown.at(-1)?.[1] ?? bound) : bound;
  const events = shown.map(([event]) => event);
  return { upTo: end, chunk: await renderAggregated(hs, events, requester, { roomId: true }) };
}

function only(rooms: UserRooms, roomKey: number): UserRooms {
  const standing = rooms.get(roomKey);
  return new Map(standing && [[roomKey, standing]]);
}

/** What a user is, or has become, in a room of whose events they hear. */
const TOLD = new Set<Standing["membership"]>(["join", "leave", "ban"]);

function heardRoom(
  roomKey: number,
  standing: Standing,
  { from, upTo }: { from: Position; upTo: Position },
): HeardRoom[] {
  const { membership, position } = standing;
  if (!TOLD.has(membership) || (membership !== "join" && position <= from)) return [];
  return [{ roomKey, upTo: endOf({ standing }, upTo) }];
}

/** The events of rooms, if all of them can be had from memory. */
function inMemory(
  changes: readonly Change[] | undefined,
  heard: readonly HeardRoom[],
): StoredEvent[] | undefined {
  if (!changes) return undefined;
  const byRoom = eventsByRoom(changes);
  const events = heard
    .flatMap(({ roomKey, upTo }) =>
      (byRoom.get(roomKey) ?? []).filter(
        ({ status, anchor }) =>
          status === EventStatus.accepted && anchor !== undefined && anchor <= upTo,
      ),
    )
    .toSorted((a, b) => (a.anchor ?? 0) - (b.anchor ?? 0));
  // What may have been redacted meanwhile has to be read.
  return events.some((it) => it.mayBeRedacted) ? undefined : events;
}

async function readEvents(
  hs: Homeserver,
  heard: readonly HeardRoom[],
  { from, limit }: { from: Position; limit: number },
): Promise<StoredEvent[]> {
  const rows = await hs.sql<{ event_key: number }[]>`
    select found.event_key from unnest(
      ${heard.map((it) => it.roomKey)}::bigint[], ${heard.map((it) => it.upTo)}::bigint[]
    ) as asked (room_key, up_to)
    cross join lateral (
      select event_key, anchor from events
      where events.room_key = asked.room_key and status = 0 and anchor_offset = 0
        and anchor > ${from} and anchor <= asked.up_to
      order by anchor limit ${limit}) as found
    order by found.anchor limit ${limit}`;
  const events = await eventsOf(
    hs,
    rows.map((it) => it.event_key),
  );
  return rows.flatMap((it) => events.get(it.event_key) ?? []);
}

/** Of what was found, what the user may see: all but forks, where they have been joined all the while. */
async function visible(
  hs: Homeserver,
  requester: Requester,
  found: readonly StoredEvent[],
  { rooms, from }: { rooms: UserRooms; from: Position },
): Promise<readonly StoredEvent[]> {
  const ignored = await ignoredUsersOf(hs, requester.userKey);
  const wanted = found.filter((it) => !isIgnored(it, ignored));
  const isFree = ({ roomKey, amongForks }: StoredEvent) => {
    const standing = rooms.get(roomKey);
    return !amongForks && standing?.membership === "join" && standing.position <= from;
  };
  const guarded = wanted.filter((it) => !isFree(it));
  if (guarded.length === 0) return wanted;
  const seen = new Set(await visibleInRooms(hs, requester, guarded, rooms));
  return wanted.filter((it) => isFree(it) || seen.has(it));
}

/**
 * The events by which the user was invited to rooms, or came to be out of those they had not been in, with the positions
 * at which that was: the rooms themselves do not tell.
 */
async function ownMoves(
  hs: Homeserver,
  { userKey }: Requester,
  rooms: UserRooms,
  from: Position,
): Promise<[StoredEvent, Position][]> {
  const moved = [...rooms.values()].filter((it) => it.position > from);
  const keys = moved.map((it) => it.eventKey);
  const [events, unwanted] = await Promise.all([
    eventsOf(hs, keys),
    unwantedInvitations(hs, userKey, keys),
  ]);
  return moved.flatMap(({ eventKey, membership, position }): [StoredEvent, Position][] => {
    const event = unwanted.has(eventKey) ? undefined : events.get(eventKey);
    if (!event || (event.status === EventStatus.accepted && TOLD.has(membership))) return [];
    return [[event, position]];
  });
}
