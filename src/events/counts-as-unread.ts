import type { Pdu } from "./pdu.ts";

const MESSAGES = new Set(["m.room.message", "m.room.encrypted"]);

/**
 * Whether an event counts as unread for a reader who has the default push rules and is neither its
 * sender nor mentioned by it: what those rules say of it without looking at who reads.
 *
 * @spec client-server-api#predefined-rules
 */
export function countsAsUnread({
  type,
  state_key,
  content,
}: Pick<Pdu, "type" | "state_key" | "content">): boolean {
  // .m.rule.tombstone and .m.rule.room.server_acl: the first notifies, the second does not.
  if (state_key !== undefined) return type === "m.room.tombstone" && state_key === "";
  if (!MESSAGES.has(type)) return false;
  // .m.rule.suppress_notices
  if (content["msgtype"] === "m.notice") return false;
  // .m.rule.suppress_edits
  const relation = content["m.relates_to"];
  const replaces =
    typeof relation === "object" &&
    relation !== null &&
    (relation as Record<string, unknown>)["rel_type"] === "m.replace";
  return !replaces;
}
