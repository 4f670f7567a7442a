import { accountDataStream } from "#src/account-data/account-data-stream.ts";
import { FULLY_READ_TYPE } from "#src/account-data/account-data.ts";
import { findAccountData } from "#src/account-data/account-data.ts";
import { MAIN_TIMELINE, type ThreadId } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { WHOLE_ROOM } from "#src/rooms/room-reads.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { isRelatedTo, threadOf } from "#src/rooms/thread-of.ts";
import { userRoomsInMemory } from "#src/rooms/user-rooms.ts";
import { write } from "#src/streams/write.ts";
import { visibleEvents } from "#src/timeline/visible-events.ts";
import type { ReceiptType } from "./receipt.ts";
import { receiptsStream } from "./receipts-stream.ts";

type Read = { readonly room: Room; readonly eventId: EventId };

/**
 * Records that a user of this server has read a room, or a thread of it, up to an event. Nothing
 * happens if they had read further already.
 *
 * @param thread undefined for the room with all its threads.
 * @throws MatrixError M_NOT_FOUND if the room has no such event that the user may see; M_INVALID_PARAM if the event is not
 *   related to the thread.
 * @spec client-server-api#post_matrixclientv3roomsroomidreceiptreceipttypeeventid
 */
export async function sendReceipt(
  hs: Homeserver,
  { userId, userKey }: Pick<Requester, "userId" | "userKey">,
  type: ReceiptType,
  { room, eventId, thread }: Read & { readonly thread?: ThreadId | undefined },
): Promise<void> {
  const event = await eventInRoom(hs, { userId, userKey }, { room, eventId });
  if (thread !== undefined && !(await isOfThread(hs, event, thread))) {
    throw new MatrixError("M_INVALID_PARAM", "The event is not related to the thread");
  }
  await write(hs, receiptsStream, {
    userKey,
    userId,
    local: true,
    type,
    thread: thread ?? WHOLE_ROOM,
    event,
    ts: hs.now(),
  });
}

/**
 * Whether a receipt for a thread may name an event. A root, and what relates to it otherwise, are of the
 * main timeline; but clients may say of them, too, that the thread is read so far.
 */
async function isOfThread(hs: Homeserver, event: StoredEvent, thread: ThreadId): Promise<boolean> {
  if (thread === MAIN_TIMELINE) return (await threadOf(hs, event)) === thread;
  return event.eventId === thread || (await isRelatedTo(hs, event, thread));
}

/** In the body of a request: that the fully-read marker may be moved back. Of proposal 4446, by its unstable name. */
export const ALLOW_BACKWARD = "com.beeper.allow_backward";

/**
 * Moves a user's fully-read marker to an event, unless it is further already and is not to be moved back.
 *
 * @throws MatrixError M_NOT_FOUND if the room has no such event that the user may see.
 * @spec client-server-api#fully-read-markers
 */
export async function setFullyRead(
  hs: Homeserver,
  owner: Pick<Requester, "userId" | "userKey">,
  { room, eventId, mayGoBack = false }: Read & { readonly mayGoBack?: boolean | undefined },
): Promise<void> {
  const event = await eventInRoom(hs, owner, { room, eventId });
  let isDone = false;
  while (!isDone) isDone = await moveMarker(hs, owner, event, mayGoBack);
}

/** @returns false if the marker has been moved meanwhile: then it is to be looked at again. */
async function moveMarker(
  hs: Homeserver,
  owner: Pick<Requester, "userId" | "userKey">,
  event: PlacedEvent,
  mayGoBack: boolean,
): Promise<boolean> {
  const { eventId, roomKey } = event;
  const marker = await findAccountData(hs, owner, roomKey, FULLY_READ_TYPE);
  const before = markedBy(JSON.parse(marker ?? "{}"));
  const current = before === undefined ? undefined : await findEvent(hs, before);
  if (current && !mayGoBack && !isAhead(event, current)) return true;
  if (before === eventId) return true;
  let isMoved = false;
  await write(hs, accountDataStream, {
    userKey: owner.userKey,
    roomKey,
    type: FULLY_READ_TYPE,
    change(now) {
      isMoved = markedBy(now) === before;
      return isMoved ? { event_id: eventId } : undefined;
    },
  });
  return isMoved;
}

/** The event that the content of a marker names. */
function markedBy(content: unknown): EventId | undefined {
  return (content as { event_id?: EventId } | undefined)?.event_id;
}

function isAhead(event: StoredEvent & { anchor: number }, other: StoredEvent): boolean {
  if (other.anchor === undefined || event.anchor > other.anchor) return true;
  return event.anchor === other.anchor && event.anchorOffset > other.anchorOffset;
}

type PlacedEvent = StoredEvent & { readonly anchor: number };

/** An event of a room, if it is there and the reader may know that. */
async function eventInRoom(
  hs: Homeserver,
  reader: Pick<Requester, "userId" | "userKey">,
  { room, eventId }: Read,
): Promise<PlacedEvent> {
  const event = await findEvent(hs, eventId);
  const isThere = event?.roomKey === room.roomKey && hasPlace(event);
  if (!isThere || !(await maySee(hs, reader, event))) {
    throw new MatrixError("M_NOT_FOUND", "The room has no such event");
  }
  return event;
}

async function maySee(
  hs: Homeserver,
  reader: Pick<Requester, "userId" | "userKey">,
  event: StoredEvent,
): Promise<boolean> {
  const standing = (await userRoomsInMemory(hs, reader.userKey))?.get(event.roomKey);
  // As nearly always: it was said after they came.
  if (standing?.membership === "join" && event.eventKey >= standing.eventKey) return true;
  return (await visibleEvents(hs, reader, [event], standing)).length > 0;
}

function hasPlace(event: StoredEvent): event is PlacedEvent {
  return event.anchor !== undefined;
}

/** @throws MatrixError M_INVALID_PARAM */
export function parseThreadId(value: unknown): ThreadId | undefined {
  if (value === undefined) return undefined;
  if (value === MAIN_TIMELINE) return value;
  if (typeof value !== "string" || !value.startsWith("$")) {
    throw new MatrixError("M_INVALID_PARAM", "thread_id must be an event ID or main");
  }
  return value as EventId;
}
