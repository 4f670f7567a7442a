import type { Tx } from "#src/homeserver/database.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Room } from "./find-room.ts";
import type { RoomInMaking } from "./room-in-making.ts";
import type { StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

/** Events that are to be built on a room's head and stored together, or not at all. */
export type RoomWrite = {
  /** The room, or what makes a new one. */
  readonly room: Room | { readonly newRoom: RoomId; readonly version: string };
  /** The current state events that `build` may ask for. Those of the create event and the power levels are always there. */
  readonly needs: readonly StatePair[];
  /** The pairs of type and state key of the state events that `build` adds. */
  readonly sets: readonly StatePair[];
  /** The most events that `build` adds. */
  readonly most: number;
  /**
   * Adds the events. A plain function of the room: it may be called again, on another head.
   *
   * @throws MatrixError to refuse the write as a whole.
   */
  readonly build: (room: RoomInMaking) => void;
  /** If the device has sent something under this transaction ID before, that is the result, and nothing is added. */
  readonly transaction?: Transaction & { readonly type: string };
  /** A room that is made with it: both are stored, or neither is. */
  readonly with?: RoomWrite;
  /** What else is to be written in the same transaction. */
  readonly also?: (tx: Tx, roomKey: number, events: readonly StoredEvent[]) => Promise<void>;
};

/** A transaction ID, and the device that chose it. @spec client-server-api#transaction-identifiers */
export type Transaction = { readonly deviceKey: number; readonly txnId: string };

/** What became of a `RoomWrite`. */
export type RoomWritten = {
  readonly roomKey: number;
  /** The events that were added, in order; or, of a transaction ID that was known, the event from then. */
  readonly events: readonly StoredEvent[];
};
