import type { RoomId } from "#src/kit/identifiers.ts";
import type { Change } from "#src/streams/stream.ts";
import { type Aspect, LIVE } from "../connection-state.ts";
import type { RoomScope } from "../extension-requests.ts";
import type { Around } from "./extension.ts";

/** The rooms that an extension is to speak of: of those that the request is about and the client has been told of. */
export function roomsFor(
  { relevant, draft, roomIds }: Around,
  asked: (RoomScope & { readonly enabled?: boolean | undefined }) | undefined,
  membership?: "join",
): Map<number, RoomId> {
  const rooms = new Map<number, RoomId>();
  if (!asked?.enabled) return rooms;
  const isList = isNamed(asked.lists);
  const isRoom = isNamed(asked.rooms);
  for (const [roomKey, { standing, lists, isSubscribed }] of relevant) {
    const roomId = (roomIds.get(roomKey) ?? "!") as RoomId;
    const isAsked = lists.some(isList) || (isSubscribed && isRoom(roomId));
    const isShown = membership === undefined || standing.membership === membership;
    if (isAsked && isShown && draft.roomOf(roomKey)) rooms.set(roomKey, roomId);
  }
  return rooms;
}

/** Whether a name is among some; where none are said, or a star, all are. */
function isNamed(names: readonly string[] | undefined): (name: string) => boolean {
  if (!names || names.includes("*")) return () => true;
  const known = new Set(names);
  return (it) => known.has(it);
}

/** Those rooms of which the client does not know how they stand in one respect; from now on it does. */
export function unknownOf(
  { draft }: Around,
  rooms: ReadonlyMap<number, RoomId>,
  aspect: Aspect,
): Set<number> {
  const unknown = new Set<number>();
  for (const roomKey of rooms.keys()) {
    const told = draft.roomOf(roomKey);
    if (!told || told[aspect] === LIVE) continue;
    unknown.add(roomKey);
    draft.setRoom(roomKey, { ...told, [aspect]: LIVE });
  }
  return unknown;
}

/** Notes of which other rooms the client no longer knows how they stand in one respect. */
export function leaveOthersBehind(
  { draft, position, changes }: Around,
  aspect: Aspect,
  { rooms, isOf }: { rooms: ReadonlyMap<number, RoomId>; isOf: (change: Change) => boolean },
): void {
  const moved = changes
    ? changes.flatMap((it) => (isOf(it) ? (it.roomKey ?? []) : []))
    : [...draft.roomKeys()];
  draft.leaveBehind(
    aspect,
    moved.filter((it) => !rooms.has(it)),
    position,
  );
}
