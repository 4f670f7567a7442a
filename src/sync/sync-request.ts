import type { Filter } from "#src/filters/filter.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { StickyPlace } from "#src/timeline/token.ts";

/** A request for news, read. @spec client-server-api#get_matrixclientv3sync */
export type SyncRequest = {
  readonly requester: Requester;
  readonly filter: Filter;
  /** Up to where the client knows everything; undefined on its first sync. */
  readonly since: Position | undefined;
  /** Up to where by its token, if that is said by what has not happened since. */
  readonly tokenAt?: Position | undefined;
  /** Up to where it has been told of its device's queue of messages, if not up to there too. */
  readonly resumeAfter?: Position | undefined;
  /** How far it has been told of sticky events, if not of all. */
  readonly resumeSticky?: StickyPlace | undefined;
  readonly fullState: boolean;
  /** Under which names the state after the timeline is told, if the client wants that and not the state before. */
  readonly stateAfter: "state_after" | "org.matrix.msc4222.state_after" | undefined;
};
