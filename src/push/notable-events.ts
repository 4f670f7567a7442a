import { invitePermissionsOf } from "#src/account-data/invite-permissions.ts";
import type { ThreadId } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import type { Owner } from "#src/push-rules/stored-push-rules.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { threadOf } from "#src/rooms/thread-of.ts";
import { markOf, readMarksOf } from "./read-marks.ts";
import { roomUnreadsOf } from "./room-unreads.ts";
import { type Notable, readerOf, tryRules } from "./try-rules.ts";

/** An event of which a user is told, where it is, and whether they have read it. */
export type Noted = Notable & {
  readonly roomId: RoomId;
  readonly thread: ThreadId;
  readonly isRead: boolean;
};

/**
 * Those of some events, of whatever rooms, of which a user is told by their push rules. In the order in which the
 * events are named.
 */
export async function notableEvents(
  hs: Homeserver,
  owner: Owner,
  its: readonly { readonly roomKey: number; readonly eventKey: number }[],
): Promise<readonly Noted[]> {
  if (its.length === 0) return [];
  const roomKeys = [...new Set(its.map((it) => it.roomKey))];
  const eventKeys = its.map((it) => it.eventKey);
  const [reader, permissions, marks, rooms, unreads, events] = await Promise.all([
    readerOf(hs, owner),
    invitePermissionsOf(hs, owner.userKey),
    readMarksOf(hs, owner.userKey),
    roomsByKeys(hs, roomKeys),
    roomUnreadsOf(hs, roomKeys),
    eventsOf(hs, eventKeys),
  ]);
  const noted = new Map<number, Noted>();
  const byRoom = Map.groupBy(events.values(), (it) => it.roomKey);
  for (const room of unreads) {
    const { roomKey } = room;
    const roomId = rooms.get(roomKey)?.roomId;
    if (roomId === undefined) continue;
    const inRoom = (byRoom.get(roomKey) ?? []).filter(
      (it) => !isInvitation(it, owner.userId) || permissions(it.sender) === "allow",
    );
    for (const it of await tryRules(hs, reader, { room, roomId, events: inRoom })) {
      const { eventKey, anchor } = it.event;
      const thread = await threadOf(hs, it.event);
      const isRead = (anchor ?? eventKey) <= markOf(marks.get(roomKey), thread).anchor;
      noted.set(eventKey, { ...it, roomId, thread, isRead });
    }
  }
  return eventKeys.flatMap((it) => noted.get(it) ?? []);
}

function isInvitation({ type, stateKey, content }: StoredEvent, userId: UserId): boolean {
  return type === "m.room.member" && stateKey === userId && content["membership"] === "invite";
}
