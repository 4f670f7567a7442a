import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import {
  type Bounds,
  type Move,
  movesAround,
  type OthersMoved,
  type OwnRoom,
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
 * Of so many members of rooms it is found out where they stood before, and of each in so many steps. Others count as new
 * or, if they are gone, as having been there: that is nothing but a question or a line too many, where somebody comes back
 * after a year, or others change their names all the time.
 */
const MOST_MOVES = 2_000;
const MOST_STEPS = 100;

/**
 * What has happened in a range of positions to the device lists that a user's clients follow: those
 * of everybody with whom the user shares a room.
 *
 * Whoever has left all of those and come back within the range is told of as changed: what their server has told of
 * their devices meanwhile did not come here, so what is known of them, here and in clients, may not be true.
 *
 * @spec client-server-api#tracking-the-device-list-for-a-user
 */
export async function changedDeviceLists(
  hs: Homeserver,
  userKey: number,
  bounds: Bounds,
  mostMoves = MOST_MOVES,
): Promise<DeviceListChanges> {
  const [own, moves] = await Promise.all([
    roomsOf(hs.sql, userKey),
    movesAround(hs.sql, userKey, bounds),
  ]);
  const isOwn = (it: Move) => it.userKey === userKey;
  const examined = moves.length > mostMoves ? moves.filter(isOwn) : moves;
  const { before, back, known } = await standingsBefore(hs, examined, bounds.after);
  const ownMoves = new Map(moves.filter(isOwn).map((it) => [it.roomKey, it]));
  const wasIn = ({ roomKey, joined }: OwnRoom) => {
    const move = ownMoves.get(roomKey);
    if (!move) return joined;
    // Of whoever was in such a room the client has not been told.
    return before.has(move.eventKey) && !(move.joined && move.toldAnew);
  };
  const isBack = ({ roomKey }: OwnRoom) => back.has(ownMoves.get(roomKey)?.eventKey ?? -1);
  const keysWhere = (is: (room: OwnRoom) => boolean) => own.filter(is).map((it) => it.roomKey);
  const isLong = (it: OwnRoom) => it.joined && wasIn(it) && !isBack(it);
  const rooms: RoomsInRange = {
    joined: keysWhere((it) => it.joined),
    long: keysWhere(isLong),
    entered: keysWhere((it) => it.joined && !isLong(it)),
    left: keysWhere((it) => wasIn(it) && !it.joined),
  };
  const knownRooms = new Set(keysWhere(wasIn));
  const others = othersMoved(
    moves.filter((it) => !isOwn(it)),
    { rooms: knownRooms, before, back, known },
  );
  const [changed, left] = await Promise.all([
    usersChanged(hs.sql, userKey, { ...bounds, rooms, others }),
    usersLeft(hs.sql, userKey, { rooms, others }),
  ]);
  return { changed, left };
}

/** Where the users of some member events stood, by the events' keys. */
type StandingsBefore = {
  /** Those joined before a position. */
  readonly before: ReadonlySet<number>;
  /** Of these, those who are joined again, and were not in between. */
  readonly back: ReadonlySet<number>;
  /** Those of whom that was found out. */
  readonly known: ReadonlySet<number>;
};

/** @param rooms those in which the one who asks was before. */
function othersMoved(
  moves: readonly Move[],
  { rooms, before, back, known }: StandingsBefore & { readonly rooms: ReadonlySet<number> },
): OthersMoved {
  const wasThere = ({ eventKey }: Move) => before.has(eventKey) || !known.has(eventKey);
  const joined = moves.filter((it) => it.joined).map((it) => it.eventKey);
  return {
    entrances: joined.filter((it) => !before.has(it)),
    returns: joined.filter((it) => back.has(it)),
    stays: joined.filter((it) => before.has(it) && !back.has(it)),
    leavers: moves
      .filter((it) => !it.joined && wasThere(it) && rooms.has(it.roomKey))
      .map((it) => it.userKey),
  };
}

/** Finds out where the users of some member events stood before a position, by the events they replace. */
async function standingsBefore(
  hs: Homeserver,
  moves: readonly Move[],
  after: Position,
): Promise<StandingsBefore> {
  const before = new Set<number>();
  const away = new Set<number>();
  // From each event back to the one that stood at the position.
  let open = new Map(moves.map((it) => [it.eventKey, it.eventKey]));
  for (let steps = 0; open.size > 0 && steps < MOST_STEPS; steps++) {
    const events = await eventsOf(hs, [...open.values()]);
    const older = new Map<number, number>();
    for (const [from, at] of open) {
      const event = events.get(at);
      const isAfter = event !== undefined && event.eventKey > after;
      const isJoined = event?.content["membership"] === "join";
      if (isAfter && !isJoined) away.add(from);
      if (isAfter && event.replaces !== undefined) older.set(from, event.replaces);
      if (!isAfter && isJoined) before.add(from);
    }
    open = older;
  }
  const isBack = ({ joined, eventKey }: Move) =>
    joined && before.has(eventKey) && away.has(eventKey);
  const keys = moves.map((it) => it.eventKey);
  return {
    before,
    back: new Set(moves.filter(isBack).map((it) => it.eventKey)),
    known: new Set(keys).difference(new Set(open.keys())),
  };
}
