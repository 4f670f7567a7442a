import type { ThreadId } from "#src/events/threads.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { ReadMark } from "#src/rooms/room-reads.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** @spec client-server-api#receipts */
export type ReceiptType = "m.read" | "m.read.private";

/** How far a user says to have read. */
export type Receipt = {
  readonly roomKey: number;
  readonly userKey: number;
  readonly userId: UserId;
  readonly type: ReceiptType;
  readonly thread: ReadMark["thread"];
  readonly eventId: EventId;
  readonly eventKey: number;
  /** The anchor up to which the room is read by it. */
  readonly read: number;
  /** How many events of the room had counted as unread by then. */
  readonly ordinal: number;
  readonly ts: UnixMs;
  readonly position: Position;
};

/** A receipt that is to be stored. */
export type ReceiptWrite = {
  readonly userKey: number;
  readonly userId: UserId;
  /** Whether the user is of this server, so that it counts here what they have read. */
  readonly local: boolean;
  readonly type: ReceiptType;
  readonly thread: ReadMark["thread"];
  /** An event that has a place in its room. */
  readonly event: StoredEvent & { readonly anchor: number };
  readonly ts: UnixMs;
};

/** How far a user of another server says to have read a room. */
export type ReceivedReceipt = {
  readonly room: Room;
  readonly userKey: number;
  readonly userId: UserId;
  /** Of several the furthest counts. */
  readonly eventIds: readonly EventId[];
  /** Undefined for the room with all its threads. */
  readonly thread: ThreadId | undefined;
  readonly ts: UnixMs;
};
