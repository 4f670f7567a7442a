import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { write } from "#src/streams/write.ts";
import { typingRoomsOf } from "./typing-rooms.ts";
import { typingStream } from "./typing-stream.ts";

/** The longest that somebody is believed to type without being heard of again. */
const MOST_MS = 120_000;

/**
 * Says that a user, ours or another's, types in a room for a time, or has stopped.
 *
 * @param forMs how long, in milliseconds; 0 if the user has stopped.
 * @spec client-server-api#typing-notifications
 */
export async function setTyping(
  hs: Homeserver,
  { roomKey, userKey }: { readonly roomKey: number; readonly userKey: number },
  forMs: number,
): Promise<void> {
  const now = hs.now();
  const untilMs = forMs > 0 ? now + Math.min(forMs, MOST_MS) : 0;
  if (untilMs > 0) typingRoomsOf(hs).isOwn(roomKey, userKey);
  await write(hs, typingStream, { roomKey, userKey, untilMs, now, ifExpired: false });
}
