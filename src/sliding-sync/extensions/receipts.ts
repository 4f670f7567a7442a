import type { Receipt } from "#src/ephemeral/receipt.ts";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { roomReceipts } from "#src/ephemeral/room-receipts.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Change } from "#src/streams/stream.ts";
import { LIVE, NOTHING, toldUpTo } from "../connection-state.ts";
import type { Around, Extension } from "./extension.ts";
import { leaveOthersBehind, roomsFor } from "./room-scope.ts";

/** MSC3960: of rooms that are new to the client, those at the events of their timelines and the user's own. */
export async function receiptsExtension(
  hs: Homeserver,
  around: Around,
): Promise<Extension | undefined> {
  const { request, draft, position, changes, timelines, expanded, roomIds } = around;
  const { userKey } = request.requester;
  const isOf = (it: Change) =>
    it.stream === RECEIPTS &&
    (it.userKey === undefined || (it.detail as Receipt).userKey === userKey);
  const before = new Map([...around.relevant.keys()].map((it) => [it, draft.roomOf(it)?.receipts]));
  const rooms = roomsFor(around, request.extensions.receipts, "join");
  leaveOthersBehind(around, "receipts", { rooms, isOf });
  const moved = changes && new Set(changes.filter(isOf).map((it) => it.roomKey));
  const asked = [...rooms.keys()].flatMap((roomKey) => {
    const told = before.get(roomKey) ?? NOTHING;
    const isExpanded = expanded.has(roomKey);
    if (told === LIVE && moved && !moved.has(roomKey) && !isExpanded) return [];
    const eventKeys = timelines.get(roomKey)?.events.map((it) => it.eventKey) ?? [];
    // Of what has been added to the past all receipts are new.
    return [{ roomKey, after: isExpanded ? undefined : toldUpTo(told, position), eventKeys }];
  });
  for (const roomKey of rooms.keys()) {
    const told = draft.roomOf(roomKey);
    if (told) draft.setRoom(roomKey, { ...told, receipts: LIVE });
  }
  const found = await roomReceipts(hs, request.requester, asked);
  if (found.size === 0) return undefined;
  const byRoom = [...found].map(([roomKey, it]) => [roomIds.get(roomKey) ?? "", it]);
  return { value: { rooms: Object.fromEntries(byRoom) }, isNews: true };
}
