import { findAccount } from "#src/auth/find-account.ts";
import { requireUnmoderated } from "#src/auth/moderated-accounts.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { type EventId, parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { requireRoom } from "#src/rooms/memberships.ts";
import { delayedTransactionId } from "#src/rooms/transaction-ids.ts";
import type { DelayedEvent } from "./delayed-event.ts";
import { sendMessage, sendState } from "./send-content.ts";

/**
 * Sends a delayed event now, as its user could. However often it is called, it is sent once.
 *
 * @throws MatrixError if the user may not send it, or not any more.
 */
export async function sendDelayedEvent(hs: Homeserver, it: DelayedEvent): Promise<EventId> {
  const account = await findAccount(hs, it.userId);
  if (!account || account.deactivatedAtMs !== undefined) {
    throw new MatrixError("M_FORBIDDEN", "There is no such user any more");
  }
  requireUnmoderated(account, it.stateKey === null ? "sendMessage" : "setRoomStateWithKey");
  const requester = {
    userId: it.userId,
    userKey: it.userKey,
    deviceId: "",
    deviceKey: it.deviceKey,
    isAdmin: account.isAdmin,
    isGuest: account.isGuest,
    isSuspended: account.isSuspended,
  };
  const room = await requireRoom(hs, parseRoomId(it.roomId));
  const content = JSON.parse(it.content) as CanonicalObject;
  const transaction = { deviceKey: it.deviceKey, txnId: delayedTransactionId(it.delayId) };
  const message = { room, type: it.type, content, stickyMs: it.stickyMs ?? undefined };
  if (it.stateKey === null) return await sendMessage(hs, requester, message, transaction);
  return await sendState(hs, requester, { ...message, stateKey: it.stateKey }, transaction);
}
