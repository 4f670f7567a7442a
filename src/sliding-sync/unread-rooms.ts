import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { unreadSection } from "#src/push/sync-section.ts";
import { readSections } from "#src/sync/read-sections.ts";
import type { AskedRoom, Moment } from "./asked-rooms.ts";
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
  const late = joined.filter((it) => it.hasMoved && it.since !== position);
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
