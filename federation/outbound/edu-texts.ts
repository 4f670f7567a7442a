import type { Bundle } from "#src/devices/messages-for-servers.ts";
import {
  type CanonicalObject,
  laxCanonicalJson,
  NotCanonicalError,
} from "#src/kit/canonical-json.ts";
import { groupToObject } from "#src/kit/group-to-object.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import type { OwnPresence } from "#src/presence/presence-for-servers.ts";
import { WHOLE_ROOM } from "#src/rooms/room-reads.ts";
import type { ReceiptRow } from "./queries-owed.ts";

// The texts of EDUs, in Canonical JSON. @spec server-server-api#edus

/** @spec server-server-api#send-to-device-messaging */
export function toDeviceEdu({ sender, type, messageId, messages }: Bundle): string | undefined {
  return edu("m.direct_to_device", {
    sender,
    type,
    message_id: messageId,
    messages: groupToObject(
      messages,
      (it) => it.userId,
      (its) =>
        Object.fromEntries(
          its.map((it) => [it.deviceId, JSON.parse(it.content) as CanonicalObject]),
        ),
    ),
  });
}

/** What is told of a device as it is now. */
export type DeviceSaid = {
  readonly userId: UserId;
  readonly deviceId: string;
  /** Null if it has none, or that is not told. */
  readonly name: string | null;
  /** Undefined if it has none. */
  readonly keys: object | undefined;
  readonly isGone: boolean;
  readonly streamId: number;
  readonly prevId: number | null;
};

/** @spec server-server-api#device-management */
export function deviceListEdu({
  userId,
  deviceId,
  name,
  keys,
  isGone,
  streamId,
  prevId,
}: DeviceSaid): string | undefined {
  return edu("m.device_list_update", {
    user_id: userId,
    device_id: deviceId,
    stream_id: streamId,
    prev_id: prevId === null ? [] : [prevId],
    ...(name !== null && { device_display_name: name }),
    ...(keys && { keys }),
    ...(isGone && { deleted: true }),
  });
}

/** @spec server-server-api#device-management */
export function signingKeyEdu(
  userId: UserId,
  keys: { readonly master: object | undefined; readonly selfSigning: object | undefined },
): string | undefined {
  return edu("m.signing_key_update", {
    user_id: userId,
    ...(keys.master && { master_key: keys.master }),
    ...(keys.selfSigning && { self_signing_key: keys.selfSigning }),
  });
}

/**
 * Receipts, of each user at most one in each room.
 *
 * @spec server-server-api#receipts
 */
export function receiptEdu(rows: readonly ReceiptRow[]): string | undefined {
  return edu(
    "m.receipt",
    groupToObject(
      rows,
      (it) => it.roomId,
      (ofRoom) => ({
        "m.read": Object.fromEntries(
          ofRoom.map(({ userId, eventId, ts, thread }) => [
            userId,
            {
              event_ids: [eventId],
              data: { ts, ...(thread !== WHOLE_ROOM && { thread_id: thread }) },
            },
          ]),
        ),
      }),
    ),
  );
}

/** @spec server-server-api#typing-notifications */
export function typingEdu(roomId: RoomId, userId: UserId, typing: boolean): string | undefined {
  return edu("m.typing", { room_id: roomId, user_id: userId, typing });
}

/** Who is there of our users, of each once. @spec server-server-api#presence */
export function presenceEdu(push: readonly OwnPresence["told"][]): string | undefined {
  return edu("m.presence", { push });
}

/** Fields of a user's profile that have changed: null if they were taken away. MSC4259. */
export function profileEdu(userId: UserId, fields: CanonicalObject): string | undefined {
  return edu("uk.tcpip.msc4259.profile", { user_id: userId, fields });
}

/** Undefined if something in it has no Canonical JSON, so that it cannot be signed. */
function edu(type: string, content: object): string | undefined {
  try {
    return laxCanonicalJson({ content, edu_type: type });
  } catch (error) {
    if (error instanceof NotCanonicalError) return undefined;
    throw error;
  }
}
