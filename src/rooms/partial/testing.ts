/** For tests alone: rooms to which we come without their members. */

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { storeJoinedState } from "../received/store-joined-state.ts";
import { knownRoom, type RemoteRoom } from "../received/testing.ts";

/** The servers that are said to be there. */
export const membersFrom = ["one.test" as ServerName, "two.test" as ServerName];

/** Comes to a room by a join, without its members. @returns the state before it, with them. */
export async function enterPartially(
  hs: Homeserver,
  remote: RemoteRoom,
  basis: readonly EventId[],
) {
  const room = await knownRoom(hs, remote);
  const joinId = basis.at(-1) ?? "$";
  const state = [...(remote.events.get(joinId)?.before.values() ?? [])];
  const isMember = (id: EventId) => remote.graph.events.get(id)?.type === "m.room.member";
  const stored = await storeJoinedState(hs, {
    room,
    stateEvents: state.filter((id) => !isMember(id)).map((id) => remote.received(id)),
    // What authorises the rest, and the join.
    authChain: basis.slice(0, -1).map((id) => remote.received(id)),
    joinEvent: remote.received(joinId),
    membersFrom,
  });
  if (!stored.ok) throw new Error("the room was not entered");
  return { room, joinId, state };
}
