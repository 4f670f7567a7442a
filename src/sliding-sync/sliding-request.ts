import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { ExtensionRequests } from "./extension-requests.ts";
import type { RequiredState } from "./required-state.ts";

/** What is wanted of a room. */
export type RoomConfig = {
  readonly timelineLimit: number;
  readonly requiredState: RequiredState;
};

/** First and last index of a window, both in it. */
export type Window = readonly [from: number, to: number];

/** Rooms that are wanted for what they are, and for how lately something has happened in them. */
export type RoomList = RoomConfig & {
  /** Undefined for all. */
  readonly windows: readonly Window[] | undefined;
  readonly filters: ListFilters;
};

export type ListFilters = {
  readonly isDm?: boolean | undefined;
  readonly spaces?: readonly string[] | undefined;
  readonly isEncrypted?: boolean | undefined;
  readonly isInvited?: boolean | undefined;
  readonly roomTypes?: readonly (string | null)[] | undefined;
  readonly notRoomTypes?: readonly (string | null)[] | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly notTags?: readonly string[] | undefined;
};

/** A request of sliding sync, whichever of its two forms it came in. */
export type SlidingRequest = {
  readonly requester: Requester;
  readonly lists: ReadonlyMap<string, RoomList>;
  readonly subscriptions: ReadonlyMap<RoomId, RoomConfig>;
  readonly extensions: ExtensionRequests;
  /** Whether it came in the form of clients of today. */
  readonly isDeployed: boolean;
};
