import { requireAliasesOfRoom } from "#src/directory/require-aliases-of-room.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { type EventId, parseEventId, parseUserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { setMemberState } from "#src/membership/set-member-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { MassagedTime } from "#src/rooms/massaged-time.ts";
import { redactEvent } from "#src/rooms/redact-event.ts";
import { requireThreadRoot } from "#src/rooms/require-thread-root.ts";
import type { Transaction } from "#src/rooms/room-write.ts";
import { sendAnnotation } from "#src/rooms/send-annotation.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { requireFewSticky } from "./require-few-sticky.ts";

/** What somebody wants sent to a room. */
export type Message = {
  readonly room: Room;
  readonly type: string;
  readonly content: CanonicalObject;
  /** When it was sent, if that is not now. */
  readonly time?: MassagedTime;
  /** For how long it is to be sticky, if at all. */
  readonly stickyMs?: number | undefined;
};

/**
 * Sends what is no state.
 *
 * @throws MatrixError what `sendEvent` and `redactEvent` throw; M_BAD_JSON of a message that says too little;
 *   M_DUPLICATE_ANNOTATION; M_LIMIT_EXCEEDED if too much that the user has sent to the room is sticky.
 * @spec client-server-api#put_matrixclientv3roomsroomidsendeventtypetxnid
 */
export async function sendMessage(
  hs: Homeserver,
  requester: Requester,
  { room, type, content, time = {}, stickyMs }: Message,
  transaction: Transaction,
): Promise<EventId> {
  if (type === "m.room.redaction" && typeof content["redacts"] === "string") {
    const { redacts, ...rest } = content;
    const target = parseEventId(redacts as string);
    return await redactEvent(hs, { requester, room, target, content: rest, transaction, time });
  }
  if (type === "m.room.message") requireMessage(content);
  requireAnotherRoom(room, type, content);
  await requireThreadRoot(hs, room, content);
  await requireFewSticky(hs, requester, room, { stickyMs, transaction });
  const draft = { type, content, ...time, ...(stickyMs !== undefined && { stickyMs }) };
  const send = type === "m.reaction" ? sendAnnotation : sendEvent;
  return await send(hs, { sender: requester, room, draft, transaction });
}

/**
 * Sets a piece of a room's state.
 *
 * @throws MatrixError what `sendEvent` and `setMemberState` throw; M_INVALID_PARAM of a create event, of a redaction, or of
 *   a room that would take its own place.
 * @spec client-server-api#put_matrixclientv3roomsroomidstateeventtypestatekey
 */
export async function sendState(
  hs: Homeserver,
  requester: Requester,
  { room, type, stateKey, content, time = {}, stickyMs }: Message & { readonly stateKey: string },
  transaction?: Transaction,
): Promise<EventId> {
  if (type === "m.room.create") {
    throw new MatrixError("M_INVALID_PARAM", "A room has no create event but its first");
  }
  // It would take effect like any other, and nobody would have been asked whether its sender may.
  if (type === "m.room.redaction") {
    throw new MatrixError("M_INVALID_PARAM", "A redaction is no state");
  }
  if (type === "m.room.member") {
    const target = parseUserId(stateKey);
    return await setMemberState(hs, requester, { room, target, content, time });
  }
  if (type === "m.room.canonical_alias") await requireAliasesOfRoom(hs, room, content);
  requireAnotherRoom(room, type, content);
  await requireFewSticky(hs, requester, room, { stickyMs, transaction });
  const sticky = stickyMs !== undefined && { stickyMs };
  const draft = { type, state_key: stateKey, content, ...time, ...sticky };
  return await sendEvent(hs, {
    sender: requester,
    room,
    draft,
    ...(transaction && { transaction }),
  });
}

/**
 * A message says of what kind it is and what to show where that kind is unknown.
 *
 * @spec client-server-api#mroommessage-msgtypes
 */
function requireMessage({ msgtype, body }: CanonicalObject): void {
  if (typeof msgtype !== "string" || typeof body !== "string") {
    throw new MatrixError("M_BAD_JSON", "A message needs a msgtype and a body");
  }
}

/** Clients that follow from a room to the one that takes its place would go round in a circle. */
function requireAnotherRoom({ roomId }: Room, type: string, content: CanonicalObject): void {
  if (type === "m.room.tombstone" && content["replacement_room"] === roomId) {
    throw new MatrixError("M_INVALID_PARAM", "A room cannot take its own place");
  }
}
