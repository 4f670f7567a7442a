import { STRIPPED_STATE_TYPES } from "#src/events/stripped-state.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { authChainOf } from "#src/rooms/auth-chain.ts";
import { allStateAt, statesAt, stateWithoutMembers } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { serversInRoom } from "#src/rooms/residents.ts";
import { servedPieces } from "#src/rooms/served-pieces.ts";
import { servedText } from "#src/rooms/served-text.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { namedRooms } from "#src/sync/named-rooms.ts";
import { roomSummaries } from "#src/sync/room-summaries.ts";

/**
 * What the server of a user who has joined a room is told of it, as pieces of JSON: the state before the join, and all
 * that authorises that.
 *
 * @param join the join as it is part of the room.
 * @param omitMembers whether the other server asks for the members later: then it is told which servers are in
 *   the room, and of members only what names a room that has no name.
 * @spec server-server-api#put_matrixfederationv2send_joinroomideventid
 */
export async function joinedStatePieces(
  hs: Homeserver,
  room: Room,
  join: StoredEvent,
  { omitMembers }: { omitMembers: boolean },
): Promise<AsyncGenerator<string>> {
  const root = join.stateBefore ?? 0;
  const state = omitMembers
    ? [...(await stateWithoutMembers(hs, root)), ...(await heroesOf(hs, room, join))]
    : await allStateAt(hs, root);
  const chain = await authChainOf(hs, room, [...state, join]);
  const told = new Set(omitMembers ? state : []);
  const others = chain.filter((it) => !told.has(it));
  const servers = omitMembers ? await serversInRoom(hs, room.roomKey, join.eventKey) : [];
  const members = [
    `"event":${join.json}`,
    `"members_omitted":${omitMembers}`,
    `"origin":${JSON.stringify(hs.name)}`,
    ...(omitMembers ? [`"servers_in_room":${JSON.stringify(servers)}`] : []),
  ];
  async function* pieces(): AsyncGenerator<string> {
    yield '{"auth_chain":[';
    yield* servedPieces(others, room.rules);
    yield `],${members.join(",")},"state":[`;
    yield* servedPieces(state, room.rules);
    yield "]}";
  }
  return pieces();
}

/** The members by whom clients name the room, if it has no name. */
async function heroesOf(
  hs: Homeserver,
  { roomKey }: Room,
  join: StoredEvent,
): Promise<readonly StoredEvent[]> {
  const named = await namedRooms(hs, [roomKey]);
  const summed = await roomSummaries(hs, join.senderKey, [roomKey], named);
  const heroes = await eventsOf(hs, summed.get(roomKey)?.heroEvents ?? []);
  return [...heroes.values()];
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
