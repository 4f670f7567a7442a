import { typingSection } from "#src/ephemeral/sync-section.ts";
import { TYPING } from "#src/ephemeral/typing-stream.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Change } from "#src/streams/stream.ts";
import { readSections } from "#src/sync/read-sections.ts";
import { LIVE, NOTHING } from "../connection-state.ts";
import type { Around, Extension } from "./extension.ts";
import { leaveOthersBehind, roomsFor, unknownOf } from "./room-scope.ts";

/** MSC3961: who types. */
export async function typingExtension(
  hs: Homeserver,
  around: Around,
): Promise<Extension | undefined> {
  const { request, draft, position, upTo, changes, roomIds } = around;
  const isOf = ({ stream }: Change) => stream === TYPING;
  const rooms = roomsFor(around, request.extensions.typing, "join");
  leaveOthersBehind(around, "typing", { rooms, isOf });
  if (rooms.size === 0) return undefined;
  // Of these the client may hold that somebody types who has stopped.
  const stale = [...rooms.keys()].filter((it) => (draft.roomOf(it)?.typing ?? NOTHING) > LIVE);
  const unknown = unknownOf(around, rooms, "typing");
  const part = await readSections(
    hs,
    [typingSection],
    {
      requester: request.requester,
      rooms,
      newRooms: unknown,
      changes: position === undefined ? [] : changes,
    },
    { after: position ?? upTo, upTo },
  );
  const byRoom = new Map<number, object>();
  for (const roomKey of stale) byRoom.set(roomKey, { type: "m.typing", content: { user_ids: [] } });
  for (const [roomKey, { ephemeral: [event] = [] }] of part.rooms) {
    if (event) byRoom.set(roomKey, event);
  }
  if (byRoom.size === 0) return undefined;
  const told = [...byRoom].map(([roomKey, it]) => [roomIds.get(roomKey) ?? "", it]);
  return { value: { rooms: Object.fromEntries(told) }, isNews: true };
}
