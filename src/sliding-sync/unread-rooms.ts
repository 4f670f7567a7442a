import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { roomsCountedAnew, unreadSection } from "#src/push/sync-section.ts";
import { readSections } from "#src/sync/read-sections.ts";
import type { AskedRoom, Moment } from "./asked-rooms.ts";
import type { RelevantRooms } from "./relevant-rooms.ts";
import type { SlidingRequest } from "./sliding-request.ts";

/** How much of a room is unread, as it goes over the wire. */
export type UnreadCounts = {
  readonly notification_count: number;
  readonly highlight_count: number;
};

/** How much is unread of those rooms of which that may have changed, by room key. */
export async function unreadRooms(
  hs: Homeserver,
  { requester, isDeployed }: SlidingRequest,
  asked: readonly AskedRoom[],
  { position, changes, upTo }: Pick<Moment, "position" | "changes"> & { readonly upTo: Position },
): Promise<ReadonlyMap<number, UnreadCounts>> {
  const joined = asked.filter((it) => it.standing.membership === "join");
  // Only the deployed form tells that.
  if (!isDeployed || joined.length === 0) return new Map();
  const late = joined.filter((it) => it.since !== position);
  const sections = await readSections(
    hs,
    [unreadSection],
    {
      requester,
      rooms: new Map(joined.map((it) => [it.roomKey, it.roomId as RoomId])),
      newRooms: new Set(late.map((it) => it.roomKey)),
      changes,
    },
    { after: position, upTo },
  );
  return new Map(
    [...sections.rooms].flatMap(([roomKey, { other }]) => {
      const counts = other?.["unread_notifications"] as UnreadCounts | undefined;
      return counts ? [[roomKey, counts] as const] : [];
    }),
  );
}

/** The rooms that a client knows and does not ask about now, and of which how much is unread may no longer be as it knows. */
export async function countedElsewhere(
  hs: Homeserver,
  { requester, isDeployed }: SlidingRequest,
  relevant: RelevantRooms["rooms"],
  { draft, position, changes, roomIds }: Moment,
): Promise<Iterable<number>> {
  if (!isDeployed || position === undefined) return [];
  const rooms = new Map(
    [...draft.roomKeys()]
      .filter((it) => !relevant.has(it))
      .map((it) => [it, (roomIds.get(it) ?? "!") as RoomId]),
  );
  if (rooms.size === 0) return [];
  return await roomsCountedAnew(hs, { requester, rooms, changes, after: position });
}
