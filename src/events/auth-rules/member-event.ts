import type { Pdu } from "../pdu.ts";

/** A membership event, which has a state key: its target. */
export type MemberEvent = Pdu & { readonly state_key: string };

export function isMemberEvent(event: Pdu): event is MemberEvent {
  return event.state_key !== undefined;
}
