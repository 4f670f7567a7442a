import type { Pdu } from "#src/events/pdu.ts";
import type { PowerLevels } from "#src/events/power-levels.ts";

/** In the content of a member event: that what the user sent is redacted. Of proposal 4293, by its unstable name. */
export const REDACT_EVENTS = "org.matrix.msc4293.redact_events";

/** Whether a member event, by which somebody removes another from a room, says that what they sent is redacted. */
export function asksToRedact({
  type,
  state_key,
  sender,
  content,
}: Pick<Pdu, "type" | "state_key" | "sender" | "content">): boolean {
  return (
    type === "m.room.member" &&
    content[REDACT_EVENTS] === true &&
    (content["membership"] === "leave" || content["membership"] === "ban") &&
    state_key !== sender
  );
}

/** Whether a user could redact what others sent by a redaction of each. */
export function mayRedact(levels: PowerLevels, user: string): boolean {
  const power = levels.powerOf(user);
  return power >= levels.named("redact") && power >= levels.levelFor("m.room.redaction", false);
}

/**
 * State without which a room would fall apart, or what is said in it would no longer be encrypted: nobody who removes a
 * user wants that.
 */
export const NEVER_REDACTED: readonly string[] = [
  "m.room.create",
  "m.room.server_acl",
  "m.room.encryption",
];
