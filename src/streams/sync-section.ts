import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Change } from "./stream.ts";

/** From just after one position up to and including another. */
export type Range = {
  /** Undefined when the client has nothing yet: then everything that stands is told. */
  readonly after: Position | undefined;
  readonly upTo: Position;
};

/** Who asks, and about which rooms. */
export type SyncQuestion = {
  readonly requester: Requester;
  /** What the client wants to hear of: a `Filter`, as `src/filters/` reads them. */
  readonly filter?: unknown;
  /** The rooms that the user is joined to and that the answer may speak of, by their keys. */
  readonly rooms: ReadonlyMap<number, RoomId>;
  /** Those of them about which the client knows nothing yet, whatever the range says. */
  readonly newRooms: ReadonlySet<number>;
  /** The rooms that the answer tells of and that the user has left. */
  readonly leftRooms?: ReadonlySet<number>;
  /**
   * All changes in the range that are of this section's streams and concern the user, if the process
   * still has them in memory: then nothing else has happened. Undefined if the database must be asked.
   */
  readonly changes: readonly Change[] | undefined;
  /** If the answer before was cut short: up to where the queue was told then. See `SyncPart.cutAt`. */
  readonly resumeAfter?: Position | undefined;
};

/** One domain's part of `/sync`: what of its streams concerns a user in a range of positions. */
export type SyncSection = {
  readonly name: string;
  /** The streams that it tells of. Without a change in them it is not asked, but for a first sync. */
  readonly streams: readonly string[];
  /**
   * Whether a change concerns someone. If left out: a change with a device concerns that device, one
   * with a user that user, and one with only a room the members of that room.
   */
  readonly concerns?: (change: Change, question: Omit<SyncQuestion, "changes">) => boolean;
  readonly read: (hs: Homeserver, question: SyncQuestion, range: Range) => Promise<SyncPart>;
};

export type SyncPart = {
  /** Goes into the response as it is, under these names, such as `account_data` or `to_device`. */
  readonly global?: Readonly<Record<string, unknown>>;
  /** Goes into each room's part of the response, by the room's key. */
  readonly rooms?: ReadonlyMap<number, SyncRoomPart>;
  /**
   * Up to where a long queue has been told, if not up to the end of the range. It goes into the token,
   * and comes back with the next request as `resumeAfter`. Only one section has such a queue.
   */
  readonly cutAt?: Position | undefined;
};

export type SyncRoomPart = {
  /** Events such as `m.receipt` and `m.typing`. */
  readonly ephemeral?: readonly object[];
  readonly accountData?: readonly object[];
  /** What else goes into the room's part under its own name, such as `unread_notifications`. */
  readonly other?: Readonly<Record<string, unknown>>;
};
