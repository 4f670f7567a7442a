import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import type { Timeline } from "#src/sync/room-timelines.ts";
import type { Moment } from "../asked-rooms.ts";
import type { RelevantRoom } from "../relevant-rooms.ts";
import type { SlidingRequest } from "../sliding-request.ts";

/** What of an extension a client is told. */
export type Extension = {
  readonly value: object;
  /** Whether a client that waits is to be answered for it. */
  readonly isNews: boolean;
};

/** What extensions speak of. */
export type Around = Moment & {
  readonly request: SlidingRequest;
  readonly upTo: Position;
  readonly userRooms: UserRooms;
  readonly relevant: ReadonlyMap<number, RelevantRoom>;
  /** With them all others that match a list of the request, in its windows or not. */
  readonly interesting: ReadonlySet<number>;
  readonly ignored: ReadonlySet<string>;
  /** The timelines that the same answer has. */
  readonly timelines: ReadonlyMap<number, Timeline>;
  /** The rooms of which it has more of the past than before. */
  readonly expanded: ReadonlySet<number>;
};

/** Reads what an extension tells of; nothing if that is nothing. */
export type ExtensionReader = (hs: Homeserver, around: Around) => Promise<Extension | undefined>;
