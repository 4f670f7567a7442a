import type { UserId } from "#src/kit/identifiers.ts";
import { isNotice } from "./counts-as-unread.ts";
import { isUserId } from "./event-identifiers.ts";
import type { Pdu } from "./pdu.ts";

/** For whom an event is to be highlighted. */
export type Mentions = {
  readonly users: readonly UserId[];
  /** Whether for everybody in the room. */
  readonly room: boolean;
};

/** The most users that one event mentions; whoever comes after is not notified. */
const MOST_USERS = 1_000;

const NOBODY: Mentions = { users: [], room: false };

/**
 * For whom the default push rules highlight an event: whom it mentions, and all if it mentions the room
 * or closes it. Notices and member events highlight for nobody: the rules that silence them come first.
 *
 * @spec client-server-api#user-and-room-mentions
 */
export function mentionsOf(
  { type, state_key, content }: Pick<Pdu, "type" | "state_key" | "content">,
  { senderMayNotifyRoom }: { senderMayNotifyRoom: boolean },
): Mentions {
  const folded = type.toLowerCase();
  if (isNotice(content) || folded === "m.room.member") return NOBODY;
  // .m.rule.tombstone
  const closes = folded === "m.room.tombstone" && state_key === "";
  const mentions = content["m.mentions"];
  if (typeof mentions !== "object" || mentions === null) return { users: [], room: closes };

  const { user_ids, room } = mentions as Record<string, unknown>;
  const users = Array.isArray(user_ids)
    ? user_ids.slice(0, MOST_USERS).filter((it) => isUserId(it) && !it.includes("\0"))
    : [];
  return { users: [...new Set(users)], room: closes || (room === true && senderMayNotifyRoom) };
}
