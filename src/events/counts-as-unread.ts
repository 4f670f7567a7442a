import type { Pdu } from "./pdu.ts";

/** The types about which the default underride rules notify, whoever reads. */
const NOTIFYING = new Set([
  "m.room.message",
  "m.room.encrypted",
  "m.call.invite",
  "org.matrix.msc3381.poll.start",
  "org.matrix.msc3381.poll.end",
]);

/**
 * Whether an event counts as unread for a reader who has the default push rules and is neither its
 * sender nor mentioned by it: what those rules say of it without looking at who reads.
 *
 * The rules are tried in their order; patterns know no case.
 *
 * @spec client-server-api#predefined-rules
 */
export function countsAsUnread({
  type,
  state_key,
  content,
}: Pick<Pdu, "type" | "state_key" | "content">): boolean {
  const folded = type.toLowerCase();
  const suppressed = isNotice(content) || folded === "m.room.member";
  if (suppressed) return false;
  if (folded === "m.room.tombstone" && state_key === "") return true;
  return NOTIFYING.has(folded) && !replacesAnother(content);
}

/** .m.rule.suppress_notices */
export function isNotice({ msgtype }: Pdu["content"]): boolean {
  return typeof msgtype === "string" && msgtype.toLowerCase() === "m.notice";
}

/** .m.rule.suppress_edits */
function replacesAnother(content: Pdu["content"]): boolean {
  const relation = content["m.relates_to"];
  return (
    typeof relation === "object" &&
    relation !== null &&
    (relation as Record<string, unknown>)["rel_type"] === "m.replace"
  );
}
