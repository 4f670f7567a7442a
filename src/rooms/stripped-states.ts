import type { RoomVersionRules } from "#src/events/room-versions.ts";
import {
  STRIPPED_STATE_TYPES,
  type StrippedStateEvent,
  strippedStateEvent,
} from "#src/events/stripped-state.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { statesAt } from "./current-state.ts";
import { eventsOf } from "./find-event.ts";
import { roomsByKeys } from "./find-room.ts";
import type { Standing } from "./memberships.ts";
import { type ReceivedInvite, receivedInvites } from "./received/received-invites.ts";
import { shownContent } from "./shown-content.ts";
import type { StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

type StrippedOptions = {
  /** Whether the member event itself says also which event it is, and of when. */
  readonly dated?: boolean;
};

/**
 * What someone who is invited to rooms, or knocks on them, is told of each, as JSON texts of events by
 * room key: what the room was like at the time, and the member event itself.
 *
 * @spec client-server-api#stripped-state
 */
export async function strippedStates(
  hs: Homeserver,
  userKey: number,
  rooms: readonly { readonly roomKey: number; readonly standing: Pick<Standing, "eventKey"> }[],
  { dated = false }: StrippedOptions = {},
): Promise<Map<number, string[]>> {
  if (rooms.length === 0) return new Map();
  const keys = rooms.map((it) => it.standing.eventKey);
  const roomKeys = rooms.map((it) => it.roomKey);
  const [events, known, received] = await Promise.all([
    eventsOf(hs, keys),
    roomsByKeys(hs, roomKeys),
    receivedInvites(hs, userKey, roomKeys),
  ]);
  const result = new Map<number, string[]>();
  for (const { roomKey, standing } of rooms) {
    const event = events.get(standing.eventKey);
    const rules = known.get(roomKey)?.rules;
    if (!event || !rules) continue;
    const own = dated ? datedMember(event, rules) : stripped(event, rules);
    const told = received.get(roomKey);
    if (told?.eventKey === event.eventKey) {
      result.set(roomKey, toldFromOutside(told, own));
      continue;
    }
    const pairs = STRIPPED_STATE_TYPES.map((type): StatePair => [type, ""]);
    pairs.push(["m.room.member", event.sender]);
    const state = await statesAt(hs, event.stateBefore ?? 0, pairs);
    const shown = [...state.values()].filter((it) => it.stateKey !== event.stateKey);
    const others = shown.map((it) => stripped(it, rules));
    result.set(
      roomKey,
      [...others, own].map((it) => JSON.stringify(it)),
    );
  }
  return result;
}

function stripped(event: StoredEvent, rules: RoomVersionRules): StrippedStateEvent {
  const { type, stateKey: state_key = "", sender } = event;
  return strippedStateEvent({ type, state_key, sender, content: shownContent(event, rules) });
}

/** Clients show when an invite came, and sort by it (MSC4319). */
function datedMember(event: StoredEvent, rules: RoomVersionRules) {
  const { eventId: event_id, originServerTs: origin_server_ts } = event;
  return { ...stripped(event, rules), event_id, origin_server_ts };
}

/** What another server has told of a room, and the member event, which it may have told too. */
function toldFromOutside({ strippedState }: ReceivedInvite, own: StrippedStateEvent): string[] {
  const others = strippedState.filter((it) => {
    const { type, state_key } = it as Partial<StrippedStateEvent>;
    return type !== own.type || state_key !== own.state_key;
  });
  return [...others, own].map((it) => JSON.stringify(it));
}
