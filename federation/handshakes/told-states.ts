import { STRIPPED_STATE_TYPES } from "#src/events/stripped-state.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { authChainOf } from "#src/rooms/auth-chain.ts";
import { allStateAt, statesAt } from "#src/rooms/current-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { servedText } from "#src/rooms/served-text.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/**
 * What the server of a user who has joined a room is told of it, as JSON: the state before the join, and all
 * that authorises that.
 *
 * @param join the join as it is part of the room.
 * @spec server-server-api#put_matrixfederationv2send_joinroomideventid
 */
export async function joinedStateText(
  hs: Homeserver,
  room: Room,
  join: StoredEvent,
): Promise<string> {
  const state = await allStateAt(hs, join.stateBefore ?? 0);
  const chain = await authChainOf(hs, [...state, join]);
  const texts = (events: readonly StoredEvent[]) =>
    events.map((it) => servedText(it, room.rules)).join(",");
  return `{"auth_chain":[${texts(chain)}],"event":${join.json},"members_omitted":false,"origin":${JSON.stringify(hs.name)},"state":[${texts(state)}]}`;
}

/**
 * What the server of a user who has knocked on a room is told of it, as JSON.
 *
 * @param knock the knock as it is part of the room.
 * @spec server-server-api#put_matrixfederationv1send_knockroomideventid
 */
export async function knockedStateText(
  hs: Homeserver,
  room: Room,
  knock: StoredEvent,
): Promise<string> {
  const pairs = STRIPPED_STATE_TYPES.map((type): StatePair => [type, ""]);
  const state = await statesAt(hs, knock.stateBefore ?? 0, pairs);
  const texts = [...state.values()].map((it) => servedText(it, room.rules));
  return `{"knock_room_state":[${texts.join(",")}]}`;
}
