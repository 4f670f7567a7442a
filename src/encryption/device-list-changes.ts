import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import {
  type Bounds,
  type Move,
  movesAround,
  type OthersMoved,
  type RoomsInRange,
  roomsOf,
  usersChanged,
  usersLeft,
} from "./queries-device-lists.ts";

/** Whose keys a client must ask for anew, and whose it need not follow any more. */
export type DeviceListChanges = {
  readonly changed: readonly UserId[];
  readonly left: readonly UserId[];
};

/**
 * What has happened in a range of positions to the device lists that a user's clients follow: those
 * of everybody with whom the user shares a room.
 *
 * Who has left a room and come back within the range is told of as changed if their keys are new.
 *
 * @spec client-server-api#tracking-the-device-list-for-a-user
 */
export async function changedDeviceLists(
  hs: Homeserver,
  userKey: number,
  bounds: Bounds,
): Promise<DeviceListChanges> {
  const [own, moves] = await Promise.all([
    roomsOf(hs.sql, userKey),
    movesAround(hs.sql, userKey, bounds),
  ]);
  const before = await joinedBefore(hs, moves, bounds.after);
  const ownMoves = new Map(
    moves.filter((it) => it.userKey === userKey).map((it) => [it.roomKey, it]),
  );
  const wasIn = (roomKey: number, joined: boolean) => {
    const move = ownMoves.get(roomKey);
    if (!move) return joined;
    // Of whoever was in such a room the client has not been told.
    return before.has(move.eventKey) && !(move.joined && move.toldAnew);
  };
  const keysWhere = (is: (was: boolean, now: boolean) => boolean) =>
    own.filter((it) => is(wasIn(it.roomKey, it.joined), it.joined)).map((it) => it.roomKey);
  const rooms: RoomsInRange = {
    joined: keysWhere((_was, now) => now),
    long: keysWhere((was, now) => was && now),
    entered: keysWhere((was, now) => !was && now),
    left: keysWhere((was, now) => was && !now),
  };
  const others = othersMoved(moves, { userKey, rooms, before });
  const [changed, left] = await Promise.all([
    usersChanged(hs.sql, userKey, { ...bounds, rooms, others }),
    usersLeft(hs.sql, userKey, { rooms, others }),
  ]);
  return { changed, left };
}

function othersMoved(
  moves: readonly Move[],
  { userKey, rooms, before }: { userKey: number; rooms: RoomsInRange; before: ReadonlySet<number> },
): OthersMoved {
  const shared = new Set([...rooms.long, ...rooms.left]);
  const others = moves.filter((it) => it.userKey !== userKey);
  const eventsWhere = (was: boolean, now: boolean) =>
    others.filter((it) => before.has(it.eventKey) === was && it.joined === now);
  return {
    entrances: eventsWhere(false, true).map((it) => it.eventKey),
    stays: eventsWhere(true, true).map((it) => it.eventKey),
    leavers: eventsWhere(true, false)
      .filter((it) => shared.has(it.roomKey))
      .map((it) => it.userKey),
  };
}

/** Of some member events, those whose user was joined before a position, by the events they replace. */
async function joinedBefore(
  hs: Homeserver,
  moves: readonly Move[],
  after: Position,
): Promise<ReadonlySet<number>> {
  const joined = new Set<number>();
  // From each event back to the one that stood at the position.
  let open = new Map(moves.map((it) => [it.eventKey, it.eventKey]));
  while (open.size > 0) {
    const events = await eventsOf(hs, [...open.values()]);
    const older = new Map<number, number>();
    for (const [from, at] of open) {
      const event = events.get(at);
      const isAfter = event !== undefined && event.eventKey > after;
      if (isAfter && event.replaces !== undefined) older.set(from, event.replaces);
      if (!isAfter && event?.content["membership"] === "join") joined.add(from);
    }
    open = older;
  }
  return joined;
}
