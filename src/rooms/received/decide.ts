import { type AuthEvent, checkAuthEvents } from "#src/events/auth-rules/auth-events.ts";
import { lookupAmong, type StateLookup } from "#src/events/auth-rules/auth-state.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import type { Pdu } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";

/** What the checks on receipt make of an event; of one that fails, by which of them and why. */
export type Decision =
  | { readonly outcome: "accepted" }
  | {
      readonly outcome: "rejected" | "soft-failed";
      readonly check: 4 | 5 | 6 | 7;
      readonly reason: string;
    };

/** What an event stands on, and what the room is now. */
export type Standing = {
  /** All events that it names as its auth events. */
  readonly authEvents: readonly AuthEvent[];
  /** The create event that the room's ID names, where events do not cite it; undefined if that was rejected. */
  readonly create: Pdu | undefined;
  /** The state before it; undefined of an event that has no place in the graph. */
  readonly before: StateLookup | undefined;
  /** The room's current state; undefined of an event of the past, which need not fit it. */
  readonly current: StateLookup | undefined;
  /** Why the room's policy server does not want it, if so. */
  readonly refusedByPolicy: string | undefined;
};

const ACCEPTED: Decision = { outcome: "accepted" };

/**
 * The checks 4 to 7 on receipt of an event, in their order.
 *
 * Rejected: kept, so that we know it, but no part of the room. Soft-failed: part of the graph, but
 * neither shown to clients nor built upon.
 *
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export function decide(event: Pdu, standing: Standing, rules: RoomVersionRules): Decision {
  const { authEvents, create, before, current, refusedByPolicy } = standing;

  // 4. Passes authorisation rules based on the event's auth events, otherwise it is rejected.
  const cited = checkAuthEvents(event, authEvents, rules);
  if (!cited.allowed) return { outcome: "rejected", check: 4, reason: cited.reason };
  const lookup = lookupAmong([...authEvents.map((it) => it.event), ...(create ? [create] : [])]);
  const byAuthEvents = checkAuthRules(event, lookup, rules);
  if (!byAuthEvents.allowed) return { outcome: "rejected", check: 4, reason: byAuthEvents.reason };

  // 5. Passes authorisation rules based on the state before the event, otherwise it is rejected.
  const byStateBefore = before && checkAuthRules(event, before, rules);
  if (byStateBefore?.allowed === false) {
    return { outcome: "rejected", check: 5, reason: byStateBefore.reason };
  }

  // 6. Passes authorisation rules based on the current state of the room, otherwise it is soft failed.
  const byCurrent = current && checkAuthRules(event, current, rules);
  if (byCurrent?.allowed === false) {
    return { outcome: "soft-failed", check: 6, reason: byCurrent.reason };
  }

  // 7. Is validated by the policy server, if the room is using one, otherwise it is soft failed.
  if (refusedByPolicy !== undefined) {
    return { outcome: "soft-failed", check: 7, reason: refusedByPolicy };
  }
  return ACCEPTED;
}
