import { z } from "zod";
import { MAIN_TIMELINE, type ThreadId } from "#src/events/threads.ts";
import { type ServerName, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { AnEventId, ARoomId, AUserId, mapOf } from "../client/answer-schemas.ts";

/** Text that a database can hold. */
const text = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .refine((it) => !it.includes("\0"), "must have no NUL");

/** What servers tell each other that is in no room's history. @spec server-server-api#edus */
export const Edu = z.object({ edu_type: z.string(), content: JsonObject });

/** @spec server-server-api#typing-notifications */
export const TypingContent = z.object({
  room_id: ARoomId,
  user_id: AUserId,
  typing: z.boolean(),
});

/** How many rooms, users and events a receipt EDU may name. */
const MOST_RECEIPTS = 1_000;
const MOST_EVENTS = 100;

const ThreadId = z
  .custom<ThreadId>((value) => value === MAIN_TIMELINE || AnEventId.safeParse(value).success)
  .optional();

/** One that is none does not take the others with it. */
const UserReceipt = z
  .object({
    event_ids: z.array(AnEventId).min(1).max(MOST_EVENTS),
    data: z.object({ ts: z.int().optional().catch(undefined), thread_id: ThreadId }),
  })
  .nullable()
  .catch(null);

/** @spec server-server-api#receipts */
export const ReceiptContent = mapOf(
  z
    .object({ "m.read": mapOf(UserReceipt, MOST_RECEIPTS).optional() })
    .nullable()
    .catch(null),
  MOST_RECEIPTS,
);

/** One that is none does not take the others with it. */
const UserPresence = z
  .object({
    user_id: AUserId,
    presence: z.enum(["online", "unavailable", "offline"]),
    status_msg: text(1_000).nullish().catch(undefined),
    last_active_ago: z.int().nonnegative().optional().catch(undefined),
  })
  .nullable()
  .catch(null);

/** @spec server-server-api#presence */
export const PresenceContent = z.object({ push: z.array(UserPresence).max(1_000) });

/** The EDU by which servers tell of profiles: MSC4259, by its unstable name. */
export const PROFILE_EDU = "uk.tcpip.msc4259.profile";

export const ProfileContent = z.object({ user_id: AUserId, fields: JsonObject });

/** @spec server-server-api#send-to-device-messaging */
export const ToDeviceContent = z.object({
  sender: AUserId,
  type: text(255),
  message_id: text(255),
  messages: mapOf(mapOf(JsonObject)),
});

/** @spec server-server-api#device-management */
export const DeviceListContent = z.object({
  user_id: AUserId,
  device_id: text(512),
  stream_id: z.int(),
  prev_id: z.array(z.int()).max(1_000).nullish(),
  deleted: z.boolean().nullish(),
  device_display_name: z.unknown().optional(),
  keys: z.unknown().optional(),
});

/** @spec server-server-api#device-management */
export const SigningKeyContent = z.object({
  user_id: AUserId,
  master_key: z.unknown().optional(),
  self_signing_key: z.unknown().optional(),
});

/** Whether a server may speak of a user: only of its own. */
export function isOf(origin: ServerName, userId: UserId): boolean {
  return serverNameOf(userId) === origin;
}
