import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { membersNotYetGiven } from "#src/sync/lazy-members.ts";
import type { ConnectionName } from "./connections.ts";
import type { RoomAnswer } from "./told-room.ts";

/** Up to where the last answers went that had a gap, by connection and room. */
const gapsOf = held(() => lru<string, Position>(100_000));

/** An answer with the members that come lazily and that the client has not got. */
export function withMembers(
  hs: Homeserver,
  name: ConnectionName,
  answer: RoomAnswer,
  upTo: Position,
): RoomAnswer {
  const { room, state, stateEvents, timeline } = answer;
  if (!state) return answer;
  const { since, isExpanded, roomKey } = room;
  const connection = clientOf(name);
  const inRoom = `${connection} ${roomKey}`;
  // After a gap a client knows no more who is in the room: what it was given before counts for nothing.
  if (timeline?.limited) gapsOf(hs).set(inRoom, upTo);
  const given = { anew: since === undefined || isExpanded, scope: gapsOf(hs).get(inRoom) ?? 0 };
  const told = stateEvents.filter(isMember);
  if (told.length > 0) membersNotYetGiven(hs, connection, told, given);
  const members = membersNotYetGiven(hs, connection, state.members, given);
  return members.length === 0 ? answer : { ...answer, stateEvents: [...stateEvents, ...members] };
}

/** What an answer on a connection is begun by, for the members that it gives. */
export function clientOf({ deviceKey, connectionId }: ConnectionName): string {
  return `${deviceKey} ${connectionId}`;
}

function isMember({ type }: StoredEvent): boolean {
  return type === "m.room.member";
}
