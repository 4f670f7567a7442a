import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { beginThreadRules } from "#src/push-rules/begin-thread-rules.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { threadOf } from "#src/rooms/thread-of.ts";
import { write } from "#src/streams/write.ts";
import { readEvent } from "#src/timeline/read-context.ts";
import { viewOfRoom } from "#src/timeline/view-of-room.ts";
import { deleteSubscriptions, subscriptionsAt } from "./queries-subscriptions.ts";
import { subscriptionsStream } from "./subscriptions-stream.ts";

/** Which thread. */
export type ThreadName = { readonly roomId: RoomId; readonly rootId: EventId };

/**
 * Subscribes a user to a thread. From the first on they are told of none but those.
 *
 * @param cause the event for which a client does so by itself; undefined if the user wants it.
 * @throws MatrixError M_NOT_FOUND if there is no such thread for the user; M_NOT_IN_THREAD if the cause is not in it;
 *   M_CONFLICTING_UNSUBSCRIPTION if the user has unsubscribed after the cause came.
 */
export async function subscribe(
  hs: Homeserver,
  requester: Requester,
  thread: ThreadName,
  cause: EventId | undefined,
): Promise<void> {
  const root = await rootOf(hs, requester, thread);
  const event = cause && (await causeIn(hs, requester, thread, cause));
  await write(hs, subscriptionsStream, {
    ...keysOf(requester, root),
    subscribed: true,
    cause: event?.anchor,
  });
  await beginThreadRules(hs, requester.userKey);
}

/** Ends a user's subscription to a thread. There need be none. @throws MatrixError M_NOT_FOUND */
export async function unsubscribe(
  hs: Homeserver,
  requester: Requester,
  thread: ThreadName,
): Promise<void> {
  const root = await rootOf(hs, requester, thread);
  await write(hs, subscriptionsStream, { ...keysOf(requester, root), subscribed: false });
}

/** Whether a client has subscribed a user to a thread by itself. @throws MatrixError M_NOT_FOUND if nobody has. */
export async function readSubscription(
  hs: Homeserver,
  requester: Requester,
  thread: ThreadName,
): Promise<{ automatic: boolean }> {
  const root = await rootOf(hs, requester, thread);
  const [found] = await subscriptionsAt(hs.sql, [keysOf(requester, root)]);
  if (!found?.subscribed) {
    throw new MatrixError("M_NOT_FOUND", "You have not subscribed to this thread");
  }
  return { automatic: found.automatic };
}

/** Forgets the subscriptions of a user whose account has ended. */
export async function forgetSubscriptions(hs: Homeserver, userKey: number): Promise<void> {
  await deleteSubscriptions(hs.sql, userKey);
}

function keysOf({ userKey }: Requester, { eventKey: rootKey, roomKey }: StoredEvent) {
  return { userKey, rootKey, roomKey };
}

/** Who may not see a room learns nothing of its threads. */
async function rootOf(
  hs: Homeserver,
  requester: Requester,
  { roomId, rootId }: ThreadName,
): Promise<StoredEvent> {
  return await readEvent(hs, requester, await seenRoom(hs, requester, roomId), rootId);
}

async function seenRoom(hs: Homeserver, requester: Requester, roomId: RoomId) {
  try {
    return await viewOfRoom(hs, requester, roomId);
  } catch (error) {
    if (!(error instanceof MatrixError) || error.errcode !== "M_FORBIDDEN") throw error;
    throw new MatrixError("M_NOT_FOUND", "There is no such thread, or not for you", {
      cause: error,
    });
  }
}

async function causeIn(
  hs: Homeserver,
  requester: Requester,
  { roomId, rootId }: ThreadName,
  cause: EventId,
): Promise<StoredEvent> {
  const view = await seenRoom(hs, requester, roomId);
  const event = await readEvent(hs, requester, view, cause).catch(() => undefined);
  if (event && (await threadOf(hs, event)) === rootId) return event;
  throw new MatrixError("IO.ELEMENT.MSC4306.M_NOT_IN_THREAD", "The event is not in the thread");
}
