import type { UserId } from "#src/kit/identifiers.ts";
import type { Pdu } from "./pdu.ts";

/** Whom an event mentions. */
export type Mentions = {
  readonly users: readonly UserId[];
  /** Whether everybody in the room. */
  readonly room: boolean;
};

/** The most users that one event mentions; whoever comes after is not notified. */
const MOST_USERS = 1_000;

const NOBODY: Mentions = { users: [], room: false };

/**
 * Whom an event mentions, as the rules `.m.rule.is_user_mention` and `.m.rule.is_room_mention` see it.
 *
 * @spec client-server-api#user-and-room-mentions
 */
export function mentionsOf(
  { content }: Pick<Pdu, "content">,
  { senderMayNotifyRoom }: { senderMayNotifyRoom: boolean },
): Mentions {
  const mentions = content["m.mentions"];
  if (typeof mentions !== "object" || mentions === null) return NOBODY;
  const { user_ids, room } = mentions as Record<string, unknown>;
  const users = Array.isArray(user_ids)
    ? user_ids
        .slice(0, MOST_USERS)
        .filter((it): it is UserId => typeof it === "string" && it.startsWith("@"))
    : [];
  return { users: [...new Set(users)], room: room === true && senderMayNotifyRoom };
}
