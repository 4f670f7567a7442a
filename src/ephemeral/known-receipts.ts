import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Requester } from "#src/kit/requester.ts";
import { currentStateRoots, someOfStatesAt } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import { type UserRooms, userRoomsOf } from "#src/rooms/user-rooms.ts";
import { visibleInRooms } from "#src/timeline/visible-events.ts";
import type { Receipt } from "./receipt.ts";

const VISIBILITY: StatePair = ["m.room.history_visibility", ""];

/**
 * Those of some receipts that say of no event that it is there, to a user who may not know: in rooms whose history is for
 * those who were there, of what was said before the user came. Nearly all are of what was said since, and cost nothing.
 *
 * @spec client-server-api#room-history-visibility
 */
export async function knownReceipts(
  hs: Homeserver,
  reader: Pick<Requester, "userId" | "userKey">,
  receipts: readonly Receipt[],
): Promise<readonly Receipt[]> {
  if (receipts.length === 0) return receipts;
  const rooms = await userRoomsOf(hs, reader);
  const isPlain = (it: Receipt) =>
    it.userKey === reader.userKey || it.read >= cameAt(rooms, it.roomKey);
  const old = receipts.filter((it) => !isPlain(it));
  const closed = await closedRooms(hs, [...new Set(old.map((it) => it.roomKey))]);
  const unclear = old.filter((it) => closed.has(it.roomKey));
  if (unclear.length === 0) return receipts;
  const events = await eventsOf(
    hs,
    unclear.map((it) => it.eventKey),
  );
  const seen = await visibleInRooms(hs, reader, [...events.values()], rooms);
  const known = new Set(seen.map((it) => it.eventKey));
  const hidden = new Set(unclear.filter((it) => !known.has(it.eventKey)));
  return receipts.filter((it) => !hidden.has(it));
}

/** From which place on in a room's order it is plain that a user was in it. What is fetched of its past comes later, and stands before. */
function cameAt(rooms: UserRooms, roomKey: number): Position {
  const standing = rooms.get(roomKey);
  return standing?.membership === "join" ? standing.position : Number.POSITIVE_INFINITY;
}

/** Those of some rooms whose history is not for whoever comes. */
async function closedRooms(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<ReadonlySet<number>> {
  if (roomKeys.length === 0) return new Set();
  const roots = await currentStateRoots(hs, roomKeys);
  const states = await someOfStatesAt(hs, roots.values(), [VISIBILITY]);
  const isClosed = (root: number) => {
    const set = states.get(root)?.get(pairKey(...VISIBILITY))?.content["history_visibility"];
    return set === "joined" || set === "invited";
  };
  return new Set([...roots].flatMap(([roomKey, root]) => (isClosed(root) ? [roomKey] : [])));
}
