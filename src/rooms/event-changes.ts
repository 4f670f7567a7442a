import type { Queryable } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Change } from "#src/streams/stream.ts";
import { eventsPlacedBetween } from "./queries-events.ts";
import { roomsWithServersMoved } from "./queries-room-servers.ts";
import { StoredEvent } from "./stored-event.ts";

/**
 * The name of the stream, in every `Change` of it. The detail of its changes is a `StoredEvent`, a
 * `MemberMoved` or a `ServersMoved`.
 */
export const EVENTS = "events";

/**
 * Says that a local user's standing in a room has changed though no member event of theirs is new:
 * forks were resolved, or this server came to know the room's state.
 */
export class MemberMoved {
  readonly userKey: number;
  readonly roomKey: number;

  constructor(userKey: number, roomKey: number) {
    this.userKey = userKey;
    this.roomKey = roomKey;
  }
}

/** Says that other servers have come to a room, or gone from it. */
export class ServersMoved {}

/** An event that has got its place in its room; at its end, unless it is one of the past. */
export function changeOf(event: StoredEvent, position = event.anchor ?? event.eventKey): Change {
  const { roomKey, json } = event;
  return { position, stream: EVENTS, roomKey, detail: event, characters: json.length };
}

export function memberChange({
  userKey,
  roomKey,
  eventKey,
  position = eventKey,
}: {
  readonly userKey: number;
  readonly roomKey: number;
  readonly eventKey: number;
  readonly position?: Position;
}): Change {
  return { position, stream: EVENTS, userKey, roomKey, detail: new MemberMoved(userKey, roomKey) };
}

export function serversChange({
  roomKey,
  position,
}: {
  readonly roomKey: number;
  readonly position: Position;
}): Change {
  return { position, stream: EVENTS, roomKey, detail: new ServersMoved() };
}

/** What became new in rooms in a range of positions, in whatever process. */
export async function eventChangesBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<readonly Change[]> {
  const [rows, moved, servers] = await Promise.all([
    eventsPlacedBetween(sql, after, upTo),
    sql<{ userKey: number; roomKey: number; eventKey: number; position: number }[]>`
      select user_key as "userKey", room_key as "roomKey", event_key as "eventKey", position
      from memberships
      where position > ${after} and position <= ${upTo} and event_key <> position and local`,
    roomsWithServersMoved(sql, after, upTo),
  ]);
  return [
    ...rows.map((row) => changeOf(new StoredEvent(row), row.at)),
    ...moved.map(memberChange),
    ...servers.map(serversChange),
  ];
}
