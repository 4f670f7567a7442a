import type { EventId } from "#src/kit/identifiers.ts";
import type { RoomGraph, StateKey } from "../pdu.ts";

/**
 * State sets that disagree, as one finds them by walking only where they differ. Nothing of it grows
 * with what they agree on.
 */
export type Conflict = {
  /**
   * Each key for which the sets do not all have the same event, with every event that one has. A key
   * that some set lacks is one, also in room version 1, which makes no conflict of it.
   */
  readonly conflicted: ReadonlyMap<StateKey, ReadonlySet<EventId>>;
  /** The event that all sets have for this key; undefined for a key in conflict or in no set. */
  readonly unconflicted: (key: StateKey) => EventId | undefined;
  /** See `authDifference`. Not needed in room version 1: an empty set will do. */
  readonly authDifference: ReadonlySet<EventId>;
  /**
   * Every conflicted event, those in the auth difference, the unconflicted ones that the rules may ask
   * for (create, power levels, join rules, members that send or are spoken of), and what is reached
   * from all these by `auth_events`. An event that is not here cannot be verified and is left out.
   */
  readonly graph: RoomGraph;
};
