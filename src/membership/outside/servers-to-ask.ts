import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { standingOf } from "#src/rooms/memberships.ts";
import { receivedInvites } from "#src/rooms/received/received-invites.ts";
import { serversInRoom } from "#src/rooms/residents.ts";

/** A room that is to be entered, or left, from outside. */
export type OutsideRoom = {
  readonly userKey: number;
  /** The room, if anything is known of it. */
  readonly room: Room | undefined;
  /** Servers that somebody says are in it. */
  readonly via?: readonly ServerName[];
};

/** Servers that are probably in a room, the likeliest first. */
export type ServersToAsk = {
  readonly first: readonly ServerName[];
  /** Those that are asked only if the others know nothing of the room. */
  readonly others: readonly ServerName[];
};

/**
 * The servers that are probably in a room: those that the client names, the one that has told us of the room,
 * that of whoever has invited the user, those that were in it when we last knew. What servers that the client has
 * named refuse, none is asked for that nobody has named.
 *
 * @spec client-server-api#post_matrixclientv3joinroomidoralias
 */
export async function serversToAsk(
  hs: Homeserver,
  { userKey, room, via = [] }: OutsideRoom,
): Promise<ServersToAsk> {
  if (!room) return { first: distinct(hs, via), others: [] };
  const { roomKey } = room;
  const [standing, invites, last] = await Promise.all([
    standingOf(hs, userKey, roomKey),
    receivedInvites(hs, userKey, [roomKey]),
    serversInRoom(hs, roomKey),
  ]);
  const told = invites.get(roomKey);
  const inviter = standing && (await eventsOf(hs, [standing.eventKey])).get(standing.eventKey);
  const first = distinct(hs, [
    ...via,
    ...(told ? [told.toldBy] : []),
    ...(inviter ? [serverNameOf(inviter.sender)] : []),
  ]);
  const others = distinct(hs, last).filter((it) => !first.includes(it));
  return via.length > 0 ? { first, others } : { first: [...first, ...others], others: [] };
}

function distinct(hs: Homeserver, servers: readonly ServerName[]): ServerName[] {
  return [...new Set(servers)].filter((it) => it !== hs.name);
}
