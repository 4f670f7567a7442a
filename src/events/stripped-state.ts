import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Pdu } from "./pdu.ts";

/**
 * The state events that tell someone outside a room what room it is: for invites, knocks, and
 * wherever else a user could join.
 *
 * @spec client-server-api#stripped-state
 */
export const STRIPPED_STATE_TYPES = [
  "m.room.create",
  "m.room.name",
  "m.room.avatar",
  "m.room.topic",
  "m.room.join_rules",
  "m.room.canonical_alias",
  "m.room.encryption",
] as const;

/** A state event without what only a member of the room could make use of. */
export type StrippedStateEvent = {
  readonly type: string;
  readonly state_key: string;
  readonly sender: UserId;
  readonly content: CanonicalObject;
};

/** Strips a state event for someone outside the room. */
export function strippedStateEvent(
  event: Pick<Pdu, "type" | "sender" | "content"> & { readonly state_key?: string },
): StrippedStateEvent {
  const { type, state_key = "", sender, content } = event;
  return { type, state_key, sender, content };
}
