import { randomBytes } from "node:crypto";
import type { EventDraft } from "#src/events/build-event.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { slices } from "#src/homeserver/slices.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { isRefusal } from "#src/rooms/refusals.ts";
import { RoomInMaking, type Sender } from "#src/rooms/room-in-making.ts";
import type { RoomWrite } from "#src/rooms/room-write.ts";

/** A room that is made and not stored yet. */
export type MadeRoom = {
  readonly roomId: RoomId;
  /** What stores it. */
  readonly write: RoomWrite;
};

/**
 * Builds all events of a new room, each on the one before. Nobody can build on a room that is new, so it is made
 * before the lane is taken.
 *
 * @param drafts the create event first.
 * @throws MatrixError M_INVALID_ROOM_STATE where they contradict each other.
 */
export async function makeRoom(
  hs: Homeserver,
  rules: RoomVersionRules,
  sender: Sender,
  drafts: readonly EventDraft[],
): Promise<MadeRoom> {
  const id = rules.roomIdIsCreateEventId ? undefined : newRoomId(hs);
  const making = new RoomInMaking(hs, rules, undefined, id);
  const pause = slices();
  for (const draft of drafts) {
    add(making, sender, draft);
    await pause();
  }
  const events = [...making.added];
  const roomId = events[0]?.event.room_id;
  if (roomId === undefined) throw new Error("a room was made without events");
  const write: RoomWrite = {
    room: { newRoom: roomId, version: rules.version },
    needs: [],
    sets: events.flatMap(({ event }) =>
      event.state_key === undefined ? [] : [[event.type, event.state_key] as const],
    ),
    most: events.length,
    build: (room) => room.adopt(events),
  };
  return { roomId, write };
}

function add(making: RoomInMaking, sender: Sender, draft: EventDraft): void {
  try {
    making.add(draft, sender);
  } catch (error) {
    if (!(error instanceof MatrixError) || !isRefusal(error)) throw error;
    // What the creator gave forbids what the creator asked for.
    throw new MatrixError("M_INVALID_ROOM_STATE", `${draft.type}: ${error.message}`, {
      cause: error,
    });
  }
}

function newRoomId(hs: Homeserver): RoomId {
  return `!${randomBytes(14).toString("base64url")}:${hs.name}`;
}
