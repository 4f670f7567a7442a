import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { forgottenRooms, type Standing } from "#src/rooms/memberships.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import type { Change } from "#src/streams/stream.ts";
import { BEFORE_ALL } from "./since.ts";
import type { SyncRequest } from "./sync-request.ts";

/** A room of which there is something to tell. */
export type ChangedRoom = {
  readonly roomKey: number;
  readonly standing: Standing;
  /** Whether the client knows nothing of the room, or nothing of the time since the user came (back). */
  readonly isNew: boolean;
  /** Whether the user is out of the room and was never in it: of one who has declined an invitation, say. */
  readonly isOutside: boolean;
  /** Where the user's last stay in it ended, if they are out of it: what it has come to since then is not for them. */
  readonly leftAt?: Position | undefined;
  /** Its events in the range, if they are in memory; else they have to be read. */
  readonly events: readonly StoredEvent[] | undefined;
};

export type ChangedRooms = {
  readonly joined: readonly ChangedRoom[];
  readonly left: readonly ChangedRoom[];
  readonly invited: readonly ChangedRoom[];
  readonly knocked: readonly ChangedRoom[];
};

/**
 * The rooms in which something has happened since a client asked last, apart by what the user is in
 * them now.
 *
 * @param changes what has happened, if that is in memory.
 */
export async function changedRooms(
  hs: Homeserver,
  request: SyncRequest,
  rooms: UserRooms,
  changes: readonly Change[] | undefined,
): Promise<ChangedRooms> {
  const { since } = request;
  const events = changes && eventsByRoom(changes);
  const moved = events ?? (since === undefined ? undefined : await movedSince(hs, rooms, since));
  const isStill = stoodStill(request, moved);
  const isPassedOver = await passedOver(hs, request);
  const result: { [K in keyof ChangedRooms]: ChangedRoom[] } = {
    joined: [],
    left: [],
    invited: [],
    knocked: [],
  };
  for (const [roomKey, standing] of rooms) {
    if (isStill(roomKey, standing)) continue;
    const section = SECTION_OF[standing.membership];
    if (section === "left" && isPassedOver(roomKey)) continue;
    const room =
      section === "joined"
        ? await joinedRoom(hs, request, { roomKey, standing, events })
        : await otherRoom(hs, request, { roomKey, standing });
    if (room) result[section].push(room);
  }
  return result;
}

/** Of which rooms there is nothing to tell, as of most: nothing has happened there, and the user is in them what they were. */
function stoodStill(
  { since, fullState }: SyncRequest,
  moved: { has(roomKey: number): boolean } | undefined,
): (roomKey: number, standing: Standing) => boolean {
  if (since === undefined || !moved || fullState) return () => false;
  return (roomKey, { position }) => position <= since && !moved.has(roomKey);
}

/** A room that the user is not in, if they have not heard of that. */
async function otherRoom(
  hs: Homeserver,
  { since }: SyncRequest,
  { roomKey, standing }: { roomKey: number; standing: Standing },
): Promise<ChangedRoom | undefined> {
  if (since !== undefined && standing.position <= since) return undefined;
  // What is told of these is read, and not taken from memory, where others' events are too.
  const room = { roomKey, standing, events: undefined };
  if (SECTION_OF[standing.membership] !== "left") {
    return { ...room, isNew: since === undefined, isOutside: false };
  }
  return { ...room, ...(await leavingOf(hs, standing, since)) };
}

const SECTION_OF = {
  join: "joined",
  invite: "invited",
  knock: "knocked",
  leave: "left",
  ban: "left",
} as const;

/** Which of the rooms that the user has left are none that a client begins with. */
async function passedOver(
  hs: Homeserver,
  { requester, since, filter }: SyncRequest,
): Promise<(roomKey: number) => boolean> {
  if (since !== undefined && since > BEFORE_ALL) return () => false;
  if (since === undefined && filter.room?.include_leave !== true) return () => true;
  const forgotten = await forgottenRooms(hs, requester.userKey);
  return (roomKey) => forgotten.has(roomKey);
}

/** What is to be told of a room that the user is in. */
async function joinedRoom(
  hs: Homeserver,
  { since }: SyncRequest,
  {
    roomKey,
    standing,
    events,
  }: {
    roomKey: number;
    standing: Standing;
    events: ReadonlyMap<number, StoredEvent[]> | undefined;
  },
): Promise<ChangedRoom> {
  const room = { roomKey, standing, isOutside: false };
  if (since === undefined) return { ...room, isNew: true, events: undefined };
  const isNew = standing.position > since && !(await wasJoined(hs, standing, since));
  return { ...room, isNew, events: isNew ? undefined : events && (events.get(roomKey) ?? []) };
}

/** Whether the user who has left was in the room, and whether the client knew of it. */
export async function leavingOf(
  hs: Homeserver,
  standing: Standing,
  since: Position | undefined,
): Promise<Pick<ChangedRoom, "isNew" | "isOutside" | "leftAt">> {
  const out = (await eventsOf(hs, [standing.eventKey])).get(standing.eventKey);
  const { was, left } = out ? await beforeLeaving(hs, out, since) : {};
  if (was?.content["membership"] !== "join") return { isNew: false, isOutside: true };
  const known = since !== undefined && (was.anchor ?? 0) <= since;
  const isNew = !known && !(since !== undefined && (await wasJoined(hs, was, since)));
  return { isNew, isOutside: false, leftAt: left?.anchor };
}

/**
 * What a user was in a room before they came to be out of it, and how they did. Whoever was kicked and then banned was in
 * it before the first of that, of which the client may not have heard.
 */
async function beforeLeaving(
  hs: Homeserver,
  out: StoredEvent,
  since: Position | undefined,
): Promise<{ readonly was?: StoredEvent | undefined; readonly left?: StoredEvent }> {
  const isNews = (it: StoredEvent) => since === undefined || (it.anchor ?? 0) > since;
  let left = out;
  while (left.replaces !== undefined) {
    const was = (await eventsOf(hs, [left.replaces])).get(left.replaces);
    if (!was || !isOut(was) || !isNews(was)) return { was, left };
    left = was;
  }
  return {};
}

function isOut({ content }: StoredEvent): boolean {
  return content["membership"] === "leave" || content["membership"] === "ban";
}

/** The events that are new in rooms, by room key. */
export function eventsByRoom(changes: readonly Change[]): Map<number, StoredEvent[]> {
  const byRoom = new Map<number, StoredEvent[]>();
  for (const { stream, roomKey, detail } of changes) {
    if (stream !== EVENTS || roomKey === undefined || !(detail instanceof StoredEvent)) continue;
    // What has been put into the past is no news.
    if (detail.anchorOffset !== 0) continue;
    const others = byRoom.get(roomKey);
    if (others) others.push(detail);
    else byRoom.set(roomKey, [detail]);
  }
  return byRoom;
}

/** Of a user's rooms, those that have had an event since a position. */
async function movedSince(
  hs: Homeserver,
  rooms: UserRooms,
  since: Position,
): Promise<ReadonlySet<number>> {
  const rows = await hs.sql<{ room_key: number }[]>`
    select room_key from rooms
    where room_key = any(${[...rooms.keys()]}::bigint[]) and last_position > ${since}`;
  return new Set(rows.map((it) => it.room_key));
}

/** Whether the user, whose member event has changed since a position, was joined then already. */
export async function wasJoined(
  hs: Homeserver,
  standing: Pick<Standing, "eventKey">,
  since: Position,
): Promise<boolean> {
  if (since === BEFORE_ALL) return false;
  const event = (await eventsOf(hs, [standing.eventKey])).get(standing.eventKey);
  // It is not the event that is new, but what is known of the room: forks were resolved, or its members fetched.
  if (event && (event.anchor ?? 0) <= since) return false;
  let key: number | undefined = standing.eventKey;
  while (key !== undefined) {
    const event: StoredEvent | undefined = (await eventsOf(hs, [key])).get(key);
    if (!event) return false;
    const joined = event.content["membership"] === "join";
    if ((event.anchor ?? 0) <= since) return joined;
    // Whoever left meanwhile has missed something, though they were there then and are now.
    if (!joined) return false;
    key = event.replaces;
  }
  return false;
}
