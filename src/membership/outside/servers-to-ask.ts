import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { type Standing, standingOf } from "#src/rooms/memberships.ts";
import { serversInRoom } from "#src/rooms/residents.ts";

/** A room that is to be entered, or left, from outside. */
export type OutsideRoom = {
  readonly userKey: number;
  /** The room, if anything is known of it. */
  readonly room: Room | undefined;
  /** Servers that somebody says are in it. */
  readonly via?: readonly ServerName[];
};

/** The servers that are probably in a room, the likeliest first: those that we were told of, that of whoever has invited the user, those that were in it when we last knew. */
export async function serversToAsk(
  hs: Homeserver,
  { userKey, room, via = [] }: OutsideRoom,
): Promise<ServerName[]> {
  if (!room) return distinct(hs, via);
  const [standing, last] = await Promise.all([
    standingOf(hs, userKey, room.roomKey),
    serversInRoom(hs.sql, room.roomKey),
  ]);
  return distinct(hs, [...via, ...(await inviterOf(hs, standing)), ...last]);
}

async function inviterOf(hs: Homeserver, standing: Standing | undefined): Promise<ServerName[]> {
  if (!standing) return [];
  const event = (await eventsOf(hs, [standing.eventKey])).get(standing.eventKey);
  return event ? [serverNameOf(event.sender)] : [];
}

function distinct(hs: Homeserver, servers: readonly ServerName[]): ServerName[] {
  return [...new Set(servers)].filter((it) => it !== hs.name);
}
