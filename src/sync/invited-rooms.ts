import { STRIPPED_STATE_TYPES, strippedStateEvent } from "#src/events/stripped-state.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { statesAt } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import type { ChangedRoom } from "./changed-rooms.ts";

/**
 * What someone who is invited to rooms, or knocks on them, is told of each, as JSON texts of events by
 * room key: what the room was like at the time, and the member event itself.
 *
 * @spec client-server-api#stripped-state
 */
export async function strippedStates(
  hs: Homeserver,
  rooms: readonly ChangedRoom[],
): Promise<Map<number, string[]>> {
  const keys = rooms.map((it) => it.standing.eventKey);
  const [events, known] = await Promise.all([
    eventsOf(hs, keys),
    roomsByKeys(
      hs,
      rooms.map((it) => it.roomKey),
    ),
  ]);
  const result = new Map<number, string[]>();
  for (const { roomKey, standing } of rooms) {
    const event = events.get(standing.eventKey);
    const rules = known.get(roomKey)?.rules;
    if (!event || !rules) continue;
    const pairs = STRIPPED_STATE_TYPES.map((type): StatePair => [type, ""]);
    pairs.push(["m.room.member", event.sender]);
    const state = await statesAt(hs, event.stateBefore ?? 0, pairs);
    const shown = [...state.values()].filter((it) => it.stateKey !== event.stateKey);
    result.set(
      roomKey,
      [...shown, event].map((it) => JSON.stringify(strippedStateEvent(it.pdu(rules)))),
    );
  }
  return result;
}
