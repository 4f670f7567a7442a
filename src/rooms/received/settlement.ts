import type { EventId } from "#src/kit/identifiers.ts";
import type { RoomHead } from "../room-head.ts";
import type { Decision } from "./decide.ts";
import type { DraftedState, EntryRef } from "./drafted-state.ts";
import type { Waiting } from "./queries-received.ts";
import type { Assessed } from "./received-event.ts";

/** A forward extremity: an accepted event that no accepted event follows. */
export type Extremity = {
  readonly eventId: EventId;
  readonly ref: EntryRef;
  readonly after: DraftedState;
  readonly depth: number;
};

/** An event, and what it makes of the room. */
export type SettledEvent = {
  readonly assessed: Assessed;
  readonly decision: Decision;
  /**
   * The room's current state once it is there, where forks make that differ from what it says itself. Of several that
   * come at once nobody ever sees only some: it may be what all of them come to.
   */
  readonly roomState: DraftedState | undefined;
  readonly ordinal: number;
};

/** What a room is once received events have been added to it. */
export type Settlement = {
  /** The head that this was worked out on. */
  readonly head: RoomHead;
  readonly events: readonly SettledEvent[];
  readonly current: DraftedState;
  readonly extremities: readonly Extremity[];
  readonly ordinal: number;
  /** What was waiting for these; undefined if that was not asked. */
  readonly waiting: Waiting | undefined;
  /** Whether the room's state comes with the events: this server was not in it. */
  readonly comesAnew?: true;
};
