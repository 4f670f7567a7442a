import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Room } from "./find-room.ts";
import { writeEvents } from "./policy/write-signed.ts";
import { turnOfReceived } from "./received/room-turns.ts";
import type { RoomInMaking, Sender } from "./room-in-making.ts";
import type { RoomWrite, RoomWritten, Transaction } from "./room-write.ts";
import type { StatePair } from "./state-slots.ts";

export type Sending = {
  readonly sender: Sender;
  readonly room: Room;
  readonly draft: EventDraft;
  /** So that the same request, made again, does not send again. */
  readonly transaction?: Transaction;
  /** Checks beyond the room's rules; throws to refuse. Of the current state it may ask for what the event's authorisation needs. */
  readonly check?: (room: RoomInMaking) => void;
  /** What else is done in the same transaction. */
  readonly also?: NonNullable<RoomWrite["also"]>;
};

/**
 * Sends an event to a room for a local user: builds it on the room's head, hashes and signs it, checks
 * it against the current state, and stores it.
 *
 * Returns when the event is durable. Sync, push and federation are not called from here: they follow
 * the stream. State that is as it should be already is not sent again.
 *
 * @returns the ID of the event, or of the one that was sent before under the same transaction ID.
 * @throws MatrixError M_FORBIDDEN if an authorisation rule rejects it; M_TOO_LARGE if it is over
 *   65,536 bytes; M_BAD_JSON if its content is not canonical JSON.
 * @spec client-server-api#sending-events-to-a-room
 */
export async function sendEvent(hs: Homeserver, sending: Sending): Promise<EventId> {
  let same: EventId | undefined;
  const written = await writeToRoom(hs, {
    ...writeOf(sending),
    build(making) {
      sending.check?.(making);
      const before = making.added.length;
      same = sameState(making, sending);
      making.add(sending.draft, sending.sender);
      // Only those who might say it are told that it is said already.
      if (same !== undefined) making.takeBackTo(before);
    },
  });
  const eventId = written.events[0]?.eventId ?? same;
  if (eventId === undefined) throw new Error("an event was sent without a trace");
  return eventId;
}

/** Writes events to a room by the one door there is. */
export async function writeToRoom(hs: Homeserver, it: RoomWrite): Promise<RoomWritten> {
  const turn = "roomKey" in it.room && turnOfReceived(hs, it.room.roomKey);
  if (turn) await turn;
  return await writeEvents(hs, it);
}

function writeOf({ sender, room, draft, transaction, also }: Sending): Omit<RoomWrite, "build"> {
  const pair: StatePair[] = draft.state_key === undefined ? [] : [[draft.type, draft.state_key]];
  return {
    room,
    needs: authEventKeys({ ...draft, sender: sender.userId }, room.rules),
    sets: pair,
    most: 1,
    ...(transaction && { transaction: { ...transaction, type: draft.type } }),
    ...(also && { also }),
  };
}

/** The event that says already what a draft wants to, if the same user has said it. */
function sameState(making: RoomInMaking, { draft, sender }: Sending): EventId | undefined {
  // What is sticky is said again, to be so for longer.
  if (draft.state_key === undefined || draft.stickyMs !== undefined) return undefined;
  const stored = making.stateEvent(draft.type, draft.state_key);
  // What was redacted does not say it any more.
  if (stored && "redactedBy" in stored && stored.redactedBy !== undefined) return undefined;
  const current = making.lookup(draft.type, draft.state_key);
  if (!current || current.sender !== sender.userId) return undefined;
  try {
    if (canonicalJson(current.content) !== canonicalJson(draft.content)) return undefined;
  } catch {
    // What is not canonical is refused, with its reason, when the event is built.
    return undefined;
  }
  return current.event_id;
}
