import type { Pdu } from "#src/events/pdu.ts";
import type { PowerLevels } from "#src/events/power-levels.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { StoredEvent } from "../stored-event.ts";
import type { PendingEvent } from "./auth-graph.ts";
import type { Decision } from "./decide.ts";
import type { EntryRef } from "./drafted-state.ts";

/** An event that another server made, which has passed the checks 1 to 3. */
export type ReceivedEvent = {
  readonly event: Pdu;
  /** Its text, as it is stored and sent on; redacted if its content was not what its maker hashed. */
  readonly json: string;
  /** Why the room's policy server does not want it, if so. */
  readonly refusedByPolicy?: string;
  /** Whether it names who authorised it, and that user's server has not signed it. Then it is rejected. */
  readonly lacksAuthorisersSignature?: true;
};

/** A received event, and what follows from its own history: none of this ever changes. */
export type Assessed = PendingEvent & {
  readonly received: ReceivedEvent;
  readonly senderKey: number;
  /** The event as it was stored before, without a place in the room. */
  readonly outlier: StoredEvent | undefined;
  /** By the checks that look at its history: accepted or rejected. */
  readonly decision: Decision;
  /** The slot of its type and state key. */
  readonly slot: number | undefined;
  readonly replaces: EntryRef | undefined;
  /** Who could do what when it was sent; undefined where its state has no create event. */
  readonly levels: PowerLevels | undefined;
  /** Those of its `prev_events` that are not known. */
  readonly missing: readonly EventId[];
  /** Its auth events, while the room's members are not all known: see `withCitedMembers`. */
  readonly cited?: readonly Pdu[];
};
