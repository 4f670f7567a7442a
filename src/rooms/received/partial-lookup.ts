import type { StateLookup } from "#src/events/auth-rules/auth-state.ts";
import type { Pdu } from "#src/events/pdu.ts";

/**
 * A state whose members are not all known yet, as far as an event is checked against it: of those that are not
 * known, what the event's own auth events say of them. The event is judged again when all members are known.
 *
 * @param authEvents undefined if all members are known.
 * @spec server-server-api#put_matrixfederationv2send_joinroomideventid
 */
export function withCitedMembers(
  lookup: StateLookup,
  authEvents: readonly Pdu[] | undefined,
): StateLookup {
  if (!authEvents) return lookup;
  const cited = new Map<string, Pdu>();
  for (const event of authEvents) {
    if (event.type === "m.room.member") cited.set(event.state_key ?? "", event);
  }
  return (type, stateKey) => {
    const known = lookup(type, stateKey);
    return known ?? (type === "m.room.member" ? cited.get(stateKey) : undefined);
  };
}
