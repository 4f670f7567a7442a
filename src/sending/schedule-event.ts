import { randomBytes } from "node:crypto";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import {
  type CanonicalObject,
  canonicalJson,
  laxCanonicalJson,
  NotCanonicalError,
} from "#src/kit/canonical-json.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { lockUser } from "#src/rooms/user-keys.ts";
import { alarmOf } from "./alarm.ts";
import {
  delayIdOfTransaction,
  insertDelayedEvent,
  waitingOfUser,
} from "./queries-delayed-events.ts";

/** The ID is all that it takes to send or cancel the event: it must not be guessed. */
const ID_BYTES = 24;

/** More than this no event may say, delayed or not. */
const MOST_BYTES = 65_536;

/** What is to be sent later. */
export type Scheduled = {
  readonly room: Room;
  readonly type: string;
  /** Undefined if it is no state event. */
  readonly stateKey: string | undefined;
  readonly content: CanonicalObject;
  /** So that the same request, made again, does not schedule again. Undefined if it says none. */
  readonly txnId: string | undefined;
  readonly delayMs: number;
  /** For how long it is to be sticky then, if at all. */
  readonly stickyMs?: number | undefined;
};

/**
 * Has an event sent later. Whether the user may is asked then.
 *
 * @returns an ID by which it can be sent earlier, put off or cancelled, by whoever is told of it.
 * @throws MatrixError M_FORBIDDEN if the delay is too long; M_LIMIT_EXCEEDED if too many wait; M_BAD_JSON, M_TOO_LARGE.
 * @see https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export async function scheduleEvent(
  hs: Homeserver,
  { userKey, deviceKey }: Requester,
  { room, type, stateKey, content, txnId, delayMs, stickyMs }: Scheduled,
): Promise<string> {
  const { maxDelayMs, maxScheduled } = hs.config.delayedEvents;
  const { roomKey } = room;
  if (txnId !== undefined) {
    const known = await delayIdOfTransaction(hs.sql, { deviceKey, roomKey, type, txnId });
    if (known !== undefined) return known;
  }
  if (delayMs > maxDelayMs) throw tooLong(maxDelayMs);
  const text = textOf(room, content);
  if (Buffer.byteLength(text) > MOST_BYTES) {
    throw new MatrixError("M_TOO_LARGE", "An event has at most 65536 bytes");
  }
  const scheduledMs = hs.now();
  const made = {
    delayId: randomBytes(ID_BYTES).toString("base64url"),
    userKey,
    deviceKey,
    roomKey,
    type,
    stateKey,
    txnId,
    content: text,
    delayMs,
    stickyMs,
    scheduledMs,
  };
  const delayId = await hs.sql.begin(async (tx) => {
    await lockUser(tx, userKey);
    const { count, nextMs } = await waitingOfUser(tx, userKey);
    if (count >= maxScheduled) throw tooMany(maxScheduled, (nextMs ?? 0) - scheduledMs);
    return await insertDelayedEvent(tx, made);
  });
  alarmOf(hs).set(scheduledMs + delayMs);
  return delayId;
}

/** @throws MatrixError M_BAD_JSON of what no event of the room can say. */
function textOf({ rules }: Room, content: CanonicalObject): string {
  try {
    return rules.strictCanonicalJson ? canonicalJson(content) : laxCanonicalJson(content);
  } catch (error) {
    if (!(error instanceof NotCanonicalError)) throw error;
    throw new MatrixError("M_BAD_JSON", "Not canonical JSON in content", { cause: error });
  }
}

/** With the names by which today's clients learn how long they may ask for. */
function tooLong(maxDelayMs: number): MatrixError {
  return new MatrixError("M_FORBIDDEN", `A delay is at most ${maxDelayMs} milliseconds`, {
    fields: {
      "org.matrix.msc4140.errcode": "M_MAX_DELAY_EXCEEDED",
      "org.matrix.msc4140.max_delay": maxDelayMs,
    },
  });
}

function tooMany(maxScheduled: number, waitMs: number): MatrixError {
  if (maxScheduled === 0) {
    return new MatrixError("M_FORBIDDEN", "This server sends no events later");
  }
  return new MatrixError("M_LIMIT_EXCEEDED", `You have ${maxScheduled} delayed events already`, {
    fields: { retry_after_ms: Math.max(1_000, waitMs) },
  });
}
