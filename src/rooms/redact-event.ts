import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findEvent } from "./find-event.ts";
import type { Room } from "./find-room.ts";
import type { MassagedTime } from "./massaged-time.ts";
import { membershipOf } from "./memberships.ts";
import { serversInRoom } from "./residents.ts";
import type { Transaction } from "./room-write.ts";
import { sendEvent } from "./send-event.ts";
import type { StoredEvent } from "./stored-event.ts";

/** State without which a room would fall apart. */
const KEPT = new Set(["m.room.create", "m.room.server_acl"]);

/**
 * Strips an event of what it says. Users may redact what they sent themselves; for what others sent
 * it takes the room's `redact` level. So it does for what only other servers know.
 *
 * @param content what the redaction says of itself, such as a `reason`.
 * @throws MatrixError M_FORBIDDEN; M_INVALID_PARAM of an event of another of the sender's rooms, M_NOT_FOUND of one that
 *   cannot be in the room; M_USER_SUSPENDED of another's event, while one's account is suspended.
 * @spec client-server-api#put_matrixclientv3roomsroomidredacteventidtxnid
 */
export async function redactEvent(
  hs: Homeserver,
  {
    requester,
    room,
    target,
    content,
    transaction,
    time = {},
  }: {
    readonly requester: Requester;
    readonly room: Room;
    readonly target: EventId;
    readonly content: CanonicalObject;
    readonly transaction: Transaction;
    readonly time?: MassagedTime;
  },
): Promise<EventId> {
  const event = await findTarget(hs, requester, room, target);
  if (event && KEPT.has(event.type) && event.stateKey !== undefined) {
    throw new MatrixError("M_FORBIDDEN", "Events of this type cannot be redacted");
  }
  const isOwn = event?.senderKey === requester.userKey;
  if (requester.isSuspended && !isOwn) {
    throw new MatrixError(
      "M_USER_SUSPENDED",
      "While suspended you may redact only your own events",
    );
  }
  return await sendEvent(hs, {
    sender: requester,
    room,
    draft: { type: "m.room.redaction", content, redacts: target, ...time },
    transaction,
    check(making) {
      if (isOwn) return;
      const create = making.lookup("m.room.create", "");
      const levels = create && making.levels(create);
      if (levels && levels.powerOf(requester.userId) >= levels.named("redact")) return;
      throw new MatrixError("M_FORBIDDEN", "You may redact only what you sent yourself");
    },
  });
}

/** What is to be redacted; undefined if only other servers may know it. */
async function findTarget(
  hs: Homeserver,
  { userKey }: Requester,
  room: Room,
  target: EventId,
): Promise<StoredEvent | undefined> {
  const event = await findEvent(hs, target);
  if (event?.roomKey === room.roomKey) return event;
  // Nobody else is told that it is there.
  if (event && (await membershipOf(hs, userKey, event.roomKey)) === "join") {
    throw new MatrixError("M_INVALID_PARAM", "The event is in another room");
  }
  if (await isShared(hs, room)) return undefined;
  throw new MatrixError("M_NOT_FOUND", "The room has no such event");
}

/** Whether there are other servers in a room, which may know events of it that we do not. */
async function isShared(hs: Homeserver, { roomKey }: Room): Promise<boolean> {
  return (await serversInRoom(hs, roomKey)).some((it) => it !== hs.name);
}
